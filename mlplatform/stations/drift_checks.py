"""Drift as checks: a Great Expectations suite over what was measured, two expectations a feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlplatform.core.drift.judge import FeatureDrift
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.ports.expectations import Expectations
from mlplatform.spec.feature_set import ExpectationSpec

_MOVED = {
    "psi": "population stability index",
    "js": "Jensen–Shannon distance",
    "ks": "Kolmogorov–Smirnov distance",
    "linf": "largest change of a share",
}


@dataclass(frozen=True)
class DriftChecks:
    """Outcomes ``drift_<feature>`` in the features' order, and the features that failed."""

    outcomes: tuple[CheckOutcome, ...]
    failed: tuple[str, ...]
    page: str | None


def check_drift(
    expectations: Expectations,
    drifts: Sequence[FeatureDrift],
    *,
    suite: str,
    run: str,
    unknown: Mapping[str, list[str]] | None = None,
) -> DriftChecks:
    """Judge each feature's statistic and completeness against its thresholds; a statistic without a value passes.

    Args:
        unknown: by feature, categories that the baseline never had, to show.
    """
    import pyarrow as pa

    shown = unknown or {}
    judged = [(d.feature, *one) for d in drifts for one in _judged(d)]
    if not judged:
        return DriftChecks(tuple(_outcome(d, True, None, shown.get(d.feature, [])) for d in drifts), (), None)
    # A column a value, of one row: a condition on rows costs the suite several times as much as the expectation itself.
    row = pa.table({column: pa.array([value], pa.float64()) for _, column, value, _ in judged})
    report = expectations.check(suite, row, [_expectation(column, limit) for _, column, _, limit in judged], run=run)
    page = None if report.page is None else str(report.page)
    broken = {feature for (feature, *_), result in zip(judged, report.results, strict=True) if not result.passed}
    outcomes = [_outcome(drift, drift.feature not in broken, page, shown.get(drift.feature, [])) for drift in drifts]
    return DriftChecks(tuple(outcomes), tuple(d.feature for d in drifts if d.feature in broken), page)


def _judged(drift: FeatureDrift) -> list[tuple[str, float, float]]:
    """What is held against a threshold: column, value, threshold. What has no value, or is above by chance, is not judged."""
    found = []
    if drift.value is not None and (drift.drifted or not drift.above):
        found.append((f"{drift.feature}: {_MOVED[drift.statistic]}", drift.value, drift.threshold))
    if drift.incomplete or drift.completeness_fall <= drift.completeness_threshold:
        column = f"{drift.feature}: fall of completeness"
        found.append((column, drift.completeness_fall, drift.completeness_threshold))
    return found


def _expectation(column: str, limit: float) -> ExpectationSpec:
    return ExpectationSpec(type="expect_column_max_to_be_between", kwargs={"column": column, "max_value": limit})


def _outcome(drift: FeatureDrift, passed: bool, page: str | None, unknown: list[str]) -> CheckOutcome:
    metadata = {k: v for k, v in drift.to_json().items() if v is not None and k not in ("feature", "passed")}
    if page is not None:
        metadata["data_docs"] = page
    if drift.value is None:
        said = "no values to compare"
    else:
        sign = ">" if drift.value > drift.threshold else "≤"
        said = f"{_MOVED[drift.statistic]} {drift.value:.3g} {sign} {drift.threshold:g}"
        if drift.by_chance and sign == ">":
            said += ", which so few values can show by chance"
    if drift.incomplete:
        said += (
            f"; {drift.completeness_fall:.1%} fewer values than at training, {drift.completeness_threshold:.1%} allowed"
        )
    if unknown:
        metadata["new_categories"] = unknown
        said += f"; new: {', '.join(unknown)}"
    return CheckOutcome(f"drift_{drift.feature}", passed, blocking=False, metadata=metadata, description=said)
