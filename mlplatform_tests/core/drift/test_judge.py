"""What the judge says of features that stayed, moved, went missing or were never there."""

from __future__ import annotations

import pytest

from mlplatform.core.drift.judge import FeatureDrift, judge
from mlplatform.core.drift.profile import FeatureProfile, Profile


def numeric(*counts: int, missing: int = 0) -> Profile:
    edges = tuple(float(k) for k in range(1, len(counts)))
    n = sum(counts)
    return Profile(n + missing, (FeatureProfile("x", "numeric", n + missing, n, edges=edges, counts=counts),))


def category(other: int = 0, **counts: int) -> Profile:
    n = sum(counts.values()) + other
    return Profile(n, (FeatureProfile("x", "category", n, n, categories=counts, other=other),))


def one(reference: Profile, sample: Profile, **settings: object) -> FeatureDrift:
    (result,) = judge(reference, sample, **{"threshold": 0.2, "completeness": 0.05, **settings})  # type: ignore[arg-type]
    return result


def test_the_same_distribution_passes() -> None:
    result = one(numeric(100, 100), numeric(10, 10))
    assert (result.passed, result.value, result.statistic) == (True, 0.0, "psi")


def test_a_moved_distribution_fails_with_every_statistic_as_evidence() -> None:
    result = one(numeric(500, 500), numeric(100, 900))
    assert result.drifted
    assert (result.linf, result.ks) == (pytest.approx(0.4), pytest.approx(0.4))
    assert result.psi == pytest.approx(0.8789, abs=1e-3)
    assert result.ks_robust == pytest.approx(0.4 - 1.8 * (2000 / 1e6) ** 0.5)
    assert result.expected_psi == pytest.approx(0.002)


def test_a_features_own_threshold_wins() -> None:
    assert one(numeric(500, 500), numeric(100, 900), thresholds={"x": 1.0}).passed
    assert not one(numeric(50_000, 50_000), numeric(48_000, 52_000), thresholds={"x": 1e-4}).passed


def test_ks_judges_categories_by_linf() -> None:
    result = one(category(a=50, b=50), category(a=80, b=20), statistic="ks")
    assert (result.statistic, result.value, result.ks) == ("linf", pytest.approx(0.3), None)


def test_a_new_category_is_counted_as_unknown() -> None:
    result = one(category(a=50, b=50), category(other=20, a=40, b=40))
    assert result.unknown == pytest.approx(0.2)
    assert result.drifted


def test_missing_values_beyond_the_tolerance_fail_though_the_rest_is_the_same() -> None:
    result = one(numeric(500, 500), numeric(470, 470, missing=60))
    assert (result.drifted, result.incomplete, result.passed) == (False, True, False)
    assert result.completeness_fall == pytest.approx(0.06)


def test_a_sample_without_values_is_judged_by_its_completeness() -> None:
    result = one(numeric(50, 50), numeric(0, 0, missing=10))
    assert (result.value, result.drifted, result.incomplete) == (None, False, True)
