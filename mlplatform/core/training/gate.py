"""The gate: whether a candidate may be registered, from its and the champion's predictions of the same held-out rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlplatform.core.training.bootstrap import Comparison, compare
from mlplatform.core.training.metrics import Floats, measure, measure_all

VerdictOutcome = Literal[
    "first",
    "better",
    "not_better",
    "undecided",
    "below_threshold",
    "segment_worse",
    "identical",
    "no_common_rows",
    "older",
]


@dataclass(frozen=True)
class Segment:
    """One segment's figures; `champion` is None where there is none, a metric that is not defined is None."""

    column: str
    value: str
    rows: int
    challenger: float | None
    champion: float | None = None
    improvement: float | None = None


@dataclass(frozen=True)
class GateRules:
    """What a candidate must show; see `spec.model.GateSpec`."""

    metric: str
    threshold: float
    higher_is_better: bool
    margin: float = 0.0
    confidence: float = 0.95
    resamples: int = 2000
    segment_tolerance: float | None = None
    unit: str = "rows"


@dataclass(frozen=True)
class Judgement:
    """The gate's answer: figures, and the sentence that says why. `comparison` is None without a champion."""

    passed: bool
    outcome: VerdictOutcome
    reason: str
    metric: str
    value: float
    threshold: float
    metrics: dict[str, float]
    rows: int
    comparison: Comparison | None = None
    segments: tuple[Segment, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """JSON-able, NaN as null."""
        return {key: _plain(value) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Rows:
    """Held-out rows: truth (a class's index, for classification), group by row, and columns to segment by."""

    truth: Floats
    groups: npt.NDArray[np.int64] | None
    segments: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def where(self, mask: npt.NDArray[np.bool_]) -> Rows:
        """The rows where `mask` holds, their groups counted anew."""
        groups = None if self.groups is None else np.unique(self.groups[mask], return_inverse=True)[1]
        kept = {
            name: [v for v, keep in zip(values, mask, strict=True) if keep] for name, values in self.segments.items()
        }
        return Rows(self.truth[mask], groups, kept)


def judge(
    rules: GateRules,
    task: str,
    rows: Rows,
    challenger: Floats,
    champion: Floats | None,
    *,
    common: npt.NDArray[np.bool_] | None = None,
    rng: np.random.Generator,
) -> Judgement:
    """Judge a challenger.

    Args:
        challenger, champion: predictions of `rows` (n, or n × classes); no champion = the first model.
        common: rows neither model was trained on; None = all. The threshold is held against all rows (the challenger
            saw none of them), the comparison is made on these.
    """
    value = measure(rules.metric, rows.truth, challenger)
    metrics = measure_all(task, rows.truth, challenger)
    sign = 1 if rules.higher_is_better else -1
    meets = sign * (value - rules.threshold) >= 0

    def say(passed: bool, outcome: VerdictOutcome, reason: str, **more: Any) -> Judgement:
        return Judgement(
            passed, outcome, reason, rules.metric, value, rules.threshold, metrics, len(rows.truth), **more
        )

    figure = f"{rules.metric} {value:.4g} on {len(rows.truth)} held-out rows"
    if champion is None:
        segments = _segments(rules, rows, challenger, None)
        if not meets:
            return say(False, "below_threshold", _too_low(rules, figure), segments=segments)
        return say(
            True,
            "first",
            f"{figure} meets the threshold {rules.threshold:g}; there is no champion yet.",
            segments=segments,
        )
    mask = np.ones(len(rows.truth), dtype=bool) if common is None else common
    shared, ours, theirs = rows.where(mask), challenger[mask], champion[mask]
    segments = _segments(rules, shared, ours, theirs)
    comparison = compare(
        rules.metric,
        shared.truth,
        ours,
        theirs,
        groups=shared.groups,
        higher_is_better=rules.higher_is_better,
        margin=rules.margin,
        confidence=rules.confidence,
        resamples=rules.resamples,
        rng=rng,
    )
    more: dict[str, Any] = {"comparison": comparison, "segments": segments}
    if not meets:
        return say(False, "below_threshold", _too_low(rules, figure), **more)
    if not mask.any():
        return say(
            False,
            "no_common_rows",
            f"{figure} meets the threshold, but the champion was trained on, or cannot be shown not to have seen, each of them.",
            **more,
        )
    if comparison.outcome != "better":
        return say(False, comparison.outcome, _compared(rules, comparison), **more)
    worst = min((s for s in segments if s.improvement is not None), key=lambda s: s.improvement or 0.0, default=None)
    if rules.segment_tolerance is not None and worst and (worst.improvement or 0.0) < -rules.segment_tolerance:
        return say(
            False,
            "segment_worse",
            f"Better overall, but where {worst.column} is '{worst.value}' {rules.metric} is {worst.challenger:.4g} "
            f"against the champion's {worst.champion:.4g}; accepted is a worsening of {rules.segment_tolerance:g}.",
            **more,
        )
    return say(True, "better", _compared(rules, comparison), **more)


def _too_low(rules: GateRules, figure: str) -> str:
    return f"{figure} misses the threshold: expected at {'least' if rules.higher_is_better else 'most'} {rules.threshold:g}."


def _compared(rules: GateRules, c: Comparison) -> str:
    figures = (
        f"{rules.metric} {c.challenger:.4g} against the champion's {c.champion:.4g} on {c.rows} rows neither saw "
        f"({c.groups} {rules.unit}): improvement {c.improvement:+.4g}, {rules.confidence:.0%} interval {c.low:+.4g} to {c.high:+.4g}"
    )
    beyond = f" beyond the margin {rules.margin:g}" if rules.margin else ""
    if c.outcome == "better":
        return f"Better{beyond}: {figures}."
    if c.outcome == "not_better":
        return f"Not better{beyond}: {figures}."
    more = (
        "how many more cannot be told"
        if c.groups_needed is None
        else f"about {c.groups_needed} more {rules.unit} needed"
    )
    return f"Undecided, {more}: {figures}. The champion stays."


def _segments(rules: GateRules, rows: Rows, challenger: Floats, champion: Floats | None) -> tuple[Segment, ...]:
    sign = 1 if rules.higher_is_better else -1
    found = []
    for column, values in rows.segments.items():
        names = np.array(["(missing)" if v is None else str(v) for v in values], dtype=object)
        for name in sorted(set(names)):
            mask = (names == name).astype(bool)
            ours = _defined(measure(rules.metric, rows.truth[mask], challenger[mask]))
            theirs = None if champion is None else _defined(measure(rules.metric, rows.truth[mask], champion[mask]))
            gain = None if ours is None or theirs is None else sign * (ours - theirs)
            found.append(Segment(column, name, int(mask.sum()), ours, theirs, gain))
    return tuple(found)


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
