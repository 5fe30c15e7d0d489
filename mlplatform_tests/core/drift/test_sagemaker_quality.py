"""SageMaker's model-quality files for figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mlplatform.core.drift.sagemaker_quality import constraints, statistics, violations

RNG = np.random.default_rng(0)


def test_a_regression_has_its_four_metrics() -> None:
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    document = statistics("regression", truth, truth + np.array([1.0, -1.0, 1.0, -1.0]), rng=RNG)
    assert document["dataset"] == {"item_count": 4}
    metrics = document["regression_metrics"]
    assert {name: m["value"] for name, m in metrics.items()} == pytest.approx(
        {"mae": 1, "rmse": 1, "r2": 0.2, "mse": 1}
    )
    assert {m["standard_deviation"] for m in metrics.values()} == {"NaN"}


def test_a_binary_classifier_has_its_matrix_actual_to_predicted() -> None:
    truth = np.array([0.0, 0.0, 1.0, 1.0])
    second = np.array([0.2, 0.7, 0.8, 0.9])
    metrics = statistics("binary", truth, np.column_stack([1 - second, second]), rng=RNG)[
        "binary_classification_metrics"
    ]
    assert metrics["confusion_matrix"] == {"0": {"0": 1, "1": 1}, "1": {"0": 0, "1": 2}}
    assert (metrics["accuracy"]["value"], metrics["f1"]["value"], metrics["auc"]["value"]) == (0.75, 0.8, 1.0)


def test_from_two_hundred_rows_on_there_is_a_deviation() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=1000)
    metrics = statistics("regression", truth, truth + rng.normal(size=1000), rng=rng)["regression_metrics"]
    assert 0 < metrics["mae"]["standard_deviation"] < 0.05


def test_constraints_and_violations_have_their_words() -> None:
    assert constraints("regression", "r2", 0.6, higher_is_better=True) == {
        "version": 0.0,
        "regression_constraints": {"r2": {"threshold": 0.6, "comparison_operator": "LessThanThreshold"}},
    }
    assert violations("regression", "r2", 0.57, 0.6, higher_is_better=True) == {
        "violations": [
            {
                "constraint_check_type": "LessThanThreshold",
                "metric_name": "r2",
                "description": "Metric r2 with 0.57 was LessThanThreshold '0.6'",
            }
        ]
    }
    assert violations("regression", "rmse", 1.0, 2.0, higher_is_better=False) == {"violations": []}
    assert (
        violations("regression", "rmse", 3.0, 2.0, higher_is_better=False)["violations"][0]["constraint_check_type"]
        == "GreaterThanThreshold"
    )
