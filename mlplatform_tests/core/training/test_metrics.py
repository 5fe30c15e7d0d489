"""Metrics against golden values and scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from mlplatform.core.training.metrics import measure, measure_all, roc_auc

TRUTH = np.array([3.0, -0.5, 2.0, 7.0])
PREDICTED = np.array([2.5, 0.0, 2.0, 8.0])


@pytest.mark.parametrize(
    ("metric", "expected"), [("r2", 0.9486081370449679), ("rmse", 0.6123724356957945), ("mae", 0.5)]
)
def test_regression_golden_values(metric: str, expected: float) -> None:
    assert measure(metric, TRUTH, PREDICTED) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("metric", "expected"),
    # Truth 0 0 1 1, P(1) .1 .4 .35 .8: 3 of 4 pairs in order; at .5 one hit of two positives, none false.
    [("roc_auc", 0.75), ("accuracy", 0.75), ("f1", 2 / 3), ("log_loss", 0.4722879202097768)],
)
def test_binary_golden_values(metric: str, expected: float) -> None:
    share = np.array([0.1, 0.4, 0.35, 0.8])
    assert measure(metric, np.array([0.0, 0, 1, 1]), np.column_stack([1 - share, share])) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_regression_agrees_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(1e6, 3, 200)
    predicted = truth + rng.normal(0, 2, 200)
    assert measure_all("regression", truth, predicted) == pytest.approx(
        {
            "r2": sk.r2_score(truth, predicted),
            "rmse": sk.root_mean_squared_error(truth, predicted),
            "mae": sk.mean_absolute_error(truth, predicted),
        },
        rel=1e-9,
    )


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_classification_agrees_with_scikit_learn(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, 300)
    scores = np.round(rng.random((300, classes)) + 0.7 * np.eye(classes)[truth], 1) + 0.01
    share = scores / scores.sum(1, keepdims=True)
    said = np.argmax(share, axis=1)
    f1 = sk.f1_score(truth, said) if classes == 2 else sk.f1_score(truth, said, average="macro")
    auc = sk.roc_auc_score(truth, share[:, 1] if classes == 2 else share, multi_class="ovr")
    assert measure_all("multiclass", truth.astype(float), share) == pytest.approx(
        {
            "accuracy": sk.accuracy_score(truth, said),
            "f1": f1,
            "roc_auc": auc,
            "log_loss": sk.log_loss(truth, share),
        },
        rel=1e-9,
    )


def test_weights_count_like_repeated_rows() -> None:
    rng = np.random.default_rng(1)
    truth, share = rng.integers(0, 2, 50).astype(float), np.round(rng.random(50), 1)
    predicted = np.column_stack([1 - share, share])
    weights = rng.integers(0, 3, (4, 50))
    expected = [sk.roc_auc_score(np.repeat(truth, w), np.repeat(share, w)) for w in weights]
    assert roc_auc(truth, predicted, weights.astype(float)).tolist() == pytest.approx(expected)


def test_a_metric_that_is_not_defined_is_nan_and_left_out() -> None:
    constant = np.array([2.0, 2.0, 2.0])
    assert math.isnan(measure("r2", constant, np.array([1.0, 2.0, 3.0])))
    assert set(measure_all("regression", constant, constant)) == {"rmse", "mae"}
    one_class = np.column_stack([np.full(3, 0.4), np.full(3, 0.6)])
    assert math.isnan(measure("roc_auc", np.ones(3), one_class))
    assert math.isnan(measure("rmse", np.empty(0), np.empty(0)))


def test_a_certain_and_wrong_prediction_does_not_make_log_loss_infinite() -> None:
    assert measure("log_loss", np.array([1.0]), np.array([[1.0, 0.0]])) == pytest.approx(15.942385)
