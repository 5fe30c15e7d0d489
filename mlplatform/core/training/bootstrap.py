"""Paired bootstrap of two models on the same rows, by groups of rows that are not independent (the rows of a day).

Both models are measured on the same resamples, so that what is hard about a resample is hard for both. The interval is
the percentile interval of the improvement (Efron & Tibshirani 1993, ch. 13); improvement > 0 means the challenger is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mlplatform.core.training.metrics import SUMS, Floats, measure, roc_auc

Outcome = Literal["better", "not_better", "undecided"]
_CELLS = 4_000_000
"""Weights held in memory at once."""
_UNITS = 5_000
"""More groups than this are first put into as many equal random heaps, which are as independent as the groups were:
the interval stays the same (its own error is that of the resamples), the work does not grow."""


@dataclass(frozen=True)
class Comparison:
    """A challenger beside a champion on the same rows.

    Attributes:
        improvement: challenger less champion, turned so that more is better, in the metric's unit.
        low, high: the interval's ends; NaN where no resample gave a value.
        groups: resampled units. groups_needed: about how many more would decide it (undecided only; None = cannot be told).
    """

    challenger: float
    champion: float
    improvement: float
    low: float
    high: float
    outcome: Outcome
    groups: int
    rows: int
    groups_needed: int | None = None


def compare(
    metric: str,
    truth: Floats,
    challenger: Floats,
    champion: Floats,
    *,
    groups: npt.NDArray[np.int64] | None,
    higher_is_better: bool,
    margin: float,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> Comparison:
    """Compare two models' predictions of the same rows.

    Args:
        groups: each row's group, 0 … k − 1; None = each row is one.
        margin: better = the interval's lower end > margin; not better = its upper end ≤ margin; else undecided.
    """
    sign = 1.0 if higher_is_better else -1.0
    group = np.arange(len(truth)) if groups is None else groups
    count = int(group.max()) + 1 if len(group) else 0
    units = min(count, _UNITS)
    if count > units:
        group = (rng.permutation(count) % units)[group]
    values = measure(metric, truth, challenger), measure(metric, truth, champion)
    differences = np.concatenate(
        [
            sign
            * (
                _resampled(metric, truth, challenger, group, weights)
                - _resampled(metric, truth, champion, group, weights)
            )
            for weights in _weights(units, len(truth) if metric == "roc_auc" else units, resamples, rng)
        ]
        or [np.empty(0)]
    )
    differences = differences[~np.isnan(differences)]
    tail = (1 - confidence) / 2
    low, high = (float(q) for q in np.quantile(differences, [tail, 1 - tail])) if differences.size else (math.nan,) * 2
    improvement = sign * (values[0] - values[1])
    outcome: Outcome = "better" if low > margin else "not_better" if high <= margin else "undecided"
    needed = groups_needed(improvement - margin, low - margin, high - margin, count) if outcome == "undecided" else None
    return Comparison(*values, improvement, low, high, outcome, count, len(truth), needed)


def groups_needed(improvement: float, low: float, high: float, groups: int) -> int | None:
    """About how many more groups would decide, if the improvement stays as it is: the interval's half narrows with 1/√groups.

    None where it cannot be told: no interval, or no difference at all.
    """
    half = improvement - low if improvement > 0 else high - improvement
    if not math.isfinite(half) or improvement == 0:
        return None
    return max(1, math.ceil(groups * (half / abs(improvement)) ** 2) - groups)


def _weights(groups: int, width: int, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each group was drawn in each resample, a chunk of resamples at a time; `width` cells are needed for each."""
    chunk = max(1, _CELLS // max(width, 1))
    for start in range(0, resamples if groups else 0, chunk):
        size = min(chunk, resamples - start)
        drawn = rng.integers(0, groups, size=(size, groups)) + groups * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * groups).reshape(size, groups).astype(np.float64)


def _resampled(metric: str, truth: Floats, predicted: Floats, group: npt.NDArray[np.int64], weights: Floats) -> Floats:
    if metric == "roc_auc":
        return roc_auc(truth, predicted, weights[:, group])
    rows, value = SUMS[metric]
    statistics = rows(truth, predicted)
    by_group = np.stack(
        [np.bincount(group, weights=column, minlength=weights.shape[1]) for column in statistics.T], axis=1
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return value(weights @ by_group)
