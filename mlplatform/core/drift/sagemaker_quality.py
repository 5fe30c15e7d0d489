"""Model quality in the three files of SageMaker Model Monitor (docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html).

Names that mean there what they mean here are written; what we do not measure is left out, not filled in.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SAMPLES = 5
SHARE = 0.8
MIN_ROWS = 200
"""Below so many rows the standard deviation is ``"NaN"``; else it is that of the metric over five random 80 % samples."""

_NAMES = {
    "regression": {"mae": "mae", "rmse": "rmse", "r2": "r2"},
    "binary": {"accuracy": "accuracy", "f1": "f1", "roc_auc": "auc"},
    "multiclass": {"accuracy": "accuracy"},
}
_SECTION = {
    "regression": "regression",
    "binary": "binary_classification",
    "multiclass": "multiclass_classification",
}


def statistics(
    task: str, truth: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64], *, rng: np.random.Generator
) -> dict[str, Any]:
    """`statistics.json`: each metric of the task with its standard deviation; for classes the matrix actual → predicted."""
    import numpy as np

    from mlplatform.core.training.metrics import measure

    rows = len(truth)
    size = int(SHARE * rows)
    samples = [rng.choice(rows, size, replace=False) for _ in range(SAMPLES)] if rows >= MIN_ROWS else []
    metrics: dict[str, Any] = {}
    for ours, theirs in _NAMES[task].items():
        spread = [measure(ours, truth[s], predicted[s]) for s in samples]
        metrics[theirs] = _value(measure(ours, truth, predicted), float(np.std(spread)) if spread else math.nan)
    if task == "regression":
        squares = (truth - predicted) ** 2
        metrics["mse"] = _value(
            float(np.mean(squares)), float(np.std([np.mean(squares[s]) for s in samples])) if samples else math.nan
        )
    else:
        metrics["confusion_matrix"] = _confusion(truth.astype(int).tolist(), predicted)
    return {"version": 0.0, "dataset": {"item_count": rows}, f"{_SECTION[task]}_metrics": metrics}


def constraints(task: str, metric: str, threshold: float, *, higher_is_better: bool) -> dict[str, Any]:
    """`constraints.json` with the one metric that is judged."""
    rule = {"threshold": threshold, "comparison_operator": _operator(higher_is_better)}
    return {"version": 0.0, f"{_SECTION[task]}_constraints": {_NAMES[task].get(metric, metric): rule}}


def violations(task: str, metric: str, value: float, threshold: float, *, higher_is_better: bool) -> dict[str, Any]:
    """`constraint_violations.json`: the metric if it is on the wrong side of its threshold, else nothing."""
    if (value >= threshold) if higher_is_better else (value <= threshold):
        return {"violations": []}
    name, operator = _NAMES[task].get(metric, metric), _operator(higher_is_better)
    description = f"Metric {name} with {value:.6g} was {operator} '{threshold:g}'"
    return {"violations": [{"constraint_check_type": operator, "metric_name": name, "description": description}]}


def _operator(higher_is_better: bool) -> str:
    return "LessThanThreshold" if higher_is_better else "GreaterThanThreshold"


def _value(value: float, deviation: float) -> dict[str, Any]:
    return {
        "value": "NaN" if math.isnan(value) else value,
        "standard_deviation": "NaN" if math.isnan(deviation) else deviation,
    }


def _confusion(truth: list[int], predicted: npt.NDArray[np.float64]) -> dict[str, dict[str, int]]:
    classes = range(predicted.shape[1])
    matrix = {str(a): {str(p): 0 for p in classes} for a in classes}
    for actual, said in zip(truth, predicted.argmax(axis=1).tolist(), strict=True):
        matrix[str(actual)][str(said)] += 1
    return matrix
