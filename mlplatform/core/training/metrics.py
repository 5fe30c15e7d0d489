"""Metrics of predictions, as sums over rows: a resample is then a weighted sum, whatever its size.

Regression takes truth and prediction; classification takes the class's index as truth and a probability per class
(n × classes). `SUMS[metric]` turns rows into statistics (n × s) that add up; `value` turns their sums into the metric.
ROC AUC has no such sums: `roc_auc` takes weights instead. A metric that is not defined (one class only, constant truth)
is NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mlplatform.core.training.hosts import ALONE, Hosts, concatenated

Floats = npt.NDArray[np.float64]


def _squares(truth: Floats, predicted: Floats) -> Floats:
    # Truth is centred by the caller's data as a whole, so that Σy² − (Σy)²/n does not cancel.
    y = truth - (truth.mean() if truth.size else 0.0)
    return np.column_stack([np.ones_like(y), y, y * y, (truth - predicted) ** 2])


def _r2(sums: Floats) -> Floats:
    n, y, yy, ee = np.moveaxis(sums, -1, 0)
    total = yy - y * y / n
    return np.where(total > 1e-12 * np.maximum(yy, 1e-300), 1 - ee / total, np.nan)


def _errors(power: int) -> Callable[[Floats, Floats], Floats]:
    return lambda truth, predicted: np.column_stack([np.ones_like(truth), np.abs(truth - predicted) ** power])


def _mean(sums: Floats) -> Floats:
    mean: Floats = sums[..., 1] / sums[..., 0]
    return mean


def _hits(truth: Floats, predicted: Floats) -> Floats:
    return np.column_stack([np.ones_like(truth), np.argmax(predicted, axis=1) == truth])


def _surprise(truth: Floats, predicted: Floats) -> Floats:
    share = predicted[np.arange(len(truth)), truth.astype(np.int64)] / predicted.sum(axis=1)
    return np.column_stack([np.ones_like(truth), -np.log(np.clip(share, np.finfo(np.float32).eps, 1.0))])


def _confusion(truth: Floats, predicted: Floats) -> Floats:
    """Per class: true positives, then predicted plus actual."""
    classes = np.arange(predicted.shape[1])
    said, is_ = np.argmax(predicted, axis=1)[:, None] == classes, truth[:, None] == classes
    return np.concatenate([said & is_, said.astype(np.float64) + is_], axis=1, dtype=np.float64)


def _f1(sums: Floats) -> Floats:
    classes = sums.shape[-1] // 2
    hits, both = sums[..., :classes], sums[..., classes:]
    per_class = np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)
    if classes == 2:
        second: Floats = per_class[..., 1]
        return second
    # A class that neither occurs nor is predicted says nothing.
    mean: Floats = per_class.sum(-1) / np.maximum((both > 0).sum(-1), 1)
    return mean


SUMS: dict[str, tuple[Callable[[Floats, Floats], Floats], Callable[[Floats], Floats]]] = {
    "r2": (_squares, _r2),
    "rmse": (_errors(2), lambda sums: np.sqrt(_mean(sums))),
    "mae": (_errors(1), _mean),
    "accuracy": (_hits, _mean),
    "log_loss": (_surprise, _mean),
    "f1": (_confusion, _f1),
}
"""Metric → (rows to statistics, sums of statistics to the metric).

r2 = 1 − Σ(y−ŷ)² / Σ(y−ȳ)²; rmse = √(Σ(y−ŷ)²/n); mae = Σ|y−ŷ|/n; accuracy = hits/n; log_loss = −Σ ln p(true class)/n with
p clipped at float32's epsilon; f1 = 2·tp/(predicted + actual) of the second class (binary), else its mean over classes.
"""

REGRESSION = ("r2", "rmse", "mae")
CLASSIFICATION = ("accuracy", "f1", "roc_auc", "log_loss")


def roc_auc(truth: Floats, predicted: Floats, weights: Floats) -> Floats:
    """P(a positive row scores above a negative one), ties half (Mann–Whitney U), under each row of `weights` (r × n).

    For more than two classes the mean over classes of one against the rest, of those that occur.
    """
    if predicted.shape[1] == 2:
        return _binary_auc(truth == 1, predicted[:, 1], weights)
    each = np.stack([_binary_auc(truth == c, predicted[:, c], weights) for c in range(predicted.shape[1])])
    known = ~np.isnan(each)
    sums = np.where(known, each, 0).sum(0)
    return np.where(known.any(0), sums / np.maximum(known.sum(0), 1), np.nan)


def _binary_auc(positive: npt.NDArray[np.bool_], score: Floats, weights: Floats) -> Floats:
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    ups = np.add.reduceat(weights[:, order] * positive[order], starts, axis=1)
    downs = np.add.reduceat(weights[:, order] * ~positive[order], starts, axis=1)
    below = np.cumsum(downs, axis=1) - downs
    pairs = ups.sum(1) * downs.sum(1)
    wins = (ups * (below + downs / 2)).sum(1)
    return np.where(pairs > 0, wins / np.where(pairs > 0, pairs, 1), np.nan)


def measure(metric: str, truth: Floats, predicted: Floats, hosts: Hosts = ALONE) -> float:
    """One metric over all rows of all hosts; NaN where it is not defined."""
    count, total = hosts.sum(np.array([len(truth), truth.sum()], dtype=np.float64))
    if not count:
        return float("nan")
    if metric == "roc_auc":
        truth, predicted = concatenated(hosts, truth), concatenated(hosts, predicted)
        return float(roc_auc(truth, predicted, np.ones((1, len(truth))))[0])
    rows, value = SUMS[metric]
    sums = rows(truth, predicted).sum(0)
    if metric == "r2" and hosts.count > 1 and len(truth):
        sums = _around(sums, truth.mean() - total / count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(value(hosts.sum(sums)))


def measure_all(task: str, truth: Floats, predicted: Floats, hosts: Hosts = ALONE) -> dict[str, float]:
    """Every metric of the task that is defined on these rows."""
    names = REGRESSION if task == "regression" else CLASSIFICATION
    values = {name: measure(name, truth, predicted, hosts) for name in names}
    return {name: value for name, value in values.items() if not np.isnan(value)}


def _around(sums: Floats, shift: float) -> Floats:
    """The sums of `_squares` as if truth were centred at a value that is lower by `shift`: all hosts' must be the same."""
    n, y, yy, ee = sums
    return np.array([n, y + n * shift, yy + 2 * shift * y + n * shift * shift, ee])
