"""Drift as checks: a Great Expectations suite over the profile, one row a feature, two expectations each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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

    rows = pa.Table.from_pylist([_judged(d) for d in drifts])
    for column in ("value", "completeness_fall", "psi", "js", "linf", "ks", "ks_robust", "expected_psi"):
        # A column of NULLs alone has no type, and an engine cannot compare it.
        rows = rows.set_column(rows.column_names.index(column), column, rows.column(column).cast(pa.float64()))
    report = expectations.check(
        suite, rows, [spec for d in drifts for spec in (_value_expectation(d), _completeness_expectation(d))], run=run
    )
    page = None if report.page is None else str(report.page)
    outcomes = []
    for k, drift in enumerate(drifts):
        passed = all(r.passed for r in report.results[2 * k : 2 * k + 2])
        outcomes.append(_outcome(drift, passed, page, (unknown or {}).get(drift.feature, [])))
    failed = tuple(d.feature for d, o in zip(drifts, outcomes, strict=True) if not o.passed)
    return DriftChecks(tuple(outcomes), failed, page)


def _judged(drift: FeatureDrift) -> dict[str, Any]:
    """The row that is expected to keep the thresholds; what chance explains is not judged (NULL)."""
    row = drift.to_json()
    return (
        row
        | ({"value": None} if drift.by_chance else {})
        | ({"completeness_fall": None} if drift.fall_by_chance else {})
    )


def _value_expectation(drift: FeatureDrift) -> ExpectationSpec:
    return ExpectationSpec(
        type="expect_column_values_to_be_between",
        kwargs={"column": "value", "max_value": drift.threshold, "row_condition": _of(drift.feature)},
    )


def _completeness_expectation(drift: FeatureDrift) -> ExpectationSpec:
    return ExpectationSpec(
        type="expect_column_values_to_be_between",
        kwargs={
            "column": "completeness_fall",
            "max_value": drift.completeness_threshold,
            "row_condition": _of(drift.feature),
        },
    )


def _of(feature: str) -> dict[str, Any]:
    return {"type": "comparison", "column": {"name": "feature"}, "operator": "==", "parameter": feature}


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
