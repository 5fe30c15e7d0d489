"""Drift as checks: one outcome a feature, in the features' order, judged by the suite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlplatform.adapters.expectations.great_expectations import GreatExpectations
from mlplatform.core.drift.judge import FeatureDrift
from mlplatform.stations.drift_checks import check_drift

CALM = FeatureDrift(
    feature="calm",
    kind="numeric",
    statistic="psi",
    value=0.05,
    threshold=0.2,
    psi=0.05,
    js=0.1,
    linf=0.1,
    ks=0.1,
    ks_robust=0.1,
    expected_psi=0.001,
    completeness=1.0,
    completeness_fall=0.0,
    completeness_threshold=0.01,
)
DRIFTS = [
    replace(CALM, feature="moved", value=0.3),
    CALM,
    replace(CALM, feature="at the limit", value=0.2),
    replace(CALM, feature="few rows", value=0.3, by_chance=True),
    replace(CALM, feature="gone", value=None, completeness=0.0, completeness_fall=1.0),
    replace(CALM, feature="few missing", completeness_fall=0.02, fall_by_chance=True),
    replace(CALM, feature="other limit", value=0.3, threshold=0.4),
]


def test_each_feature_passes_or_fails_by_its_own_thresholds() -> None:
    found = check_drift(GreatExpectations(None), DRIFTS, suite="bench/monitor", run="r")
    assert found.failed == ("moved", "gone")
    assert [(o.name, o.passed) for o in found.outcomes] == [(f"drift_{d.feature}", d.passed) for d in DRIFTS]


def test_a_page_names_each_feature_and_what_was_measured(tmp_path: Path) -> None:
    found = check_drift(GreatExpectations(tmp_path), DRIFTS[:2], suite="bench/monitor", run="r")
    pages = "".join(p.read_text() for p in (tmp_path / "bench" / "monitor" / "validations").rglob("*.html"))
    assert "moved: population stability index" in pages
    assert "calm: fall of completeness" in pages
    assert [o.metadata["data_docs"] for o in found.outcomes] == [found.page] * 2


def test_where_nothing_can_be_judged_nothing_fails() -> None:
    unknown = replace(CALM, value=None, completeness_fall=0.5, fall_by_chance=True)
    found = check_drift(GreatExpectations(None), [unknown], suite="bench/monitor", run="r")
    assert (found.failed, found.outcomes[0].passed) == ((), True)


def test_what_chance_explains_is_said() -> None:
    tiny = replace(CALM, value=0.3, by_chance=True, completeness_fall=0.02, fall_by_chance=True)
    (outcome,) = check_drift(GreatExpectations(None), [tiny], suite="bench/monitor", run="r").outcomes
    assert outcome.passed
    assert "0.3 > 0.2, which so few values can show by chance" in outcome.description
