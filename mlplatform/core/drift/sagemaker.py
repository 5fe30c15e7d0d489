"""The three files of SageMaker Model Monitor, written from our profiles.

`statistics.json`, `constraints.json` and `constraint_violations.json` as the service's analyzer writes them
(docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-statistics.html and its neighbours). The service is closed
to new customers; its formats are what tools read. Buckets and sketch are derived from the profile's bins by a
piecewise-linear distribution function, so their counts are estimates (theirs come from a sketch, too).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mlplatform.core.drift.judge import FeatureDrift
from mlplatform.core.drift.profile import FeatureProfile, Profile

BUCKETS = 10
SKETCH_ITEMS = 128
"""Items on the top level of the sketch at most."""


def statistics(profile: Profile) -> dict[str, Any]:
    """`statistics.json` of a profile; `std_dev` is the population's."""
    return {
        "version": 0.0,
        "dataset": {"item_count": profile.rows},
        "features": [_feature_statistics(f) for f in profile.features],
    }


def constraints(baseline: Profile, *, threshold: float) -> dict[str, Any]:
    """`constraints.json` suggested by a baseline: observed completeness, sign, and the domain of few-valued text."""
    return {
        "version": 0.0,
        "features": [_feature_constraints(f) for f in baseline.features],
        "monitoring_config": {
            "evaluate_constraints": "Enabled",
            "emit_metrics": "Enabled",
            "datatype_check_threshold": 1.0,
            "domain_content_threshold": 1.0,
            "distribution_constraints": {
                "perform_comparison": "Enabled",
                "comparison_threshold": threshold,
                "comparison_method": "Simple",
                "categorical_comparison_threshold": threshold,
                "categorical_drift_method": "LInfinity",
            },
        },
    }


def violations(baseline: Profile, sample: Profile, drifts: Sequence[FeatureDrift]) -> dict[str, Any]:
    """`constraint_violations.json`; drift is judged by our statistic and threshold, which the description names."""
    found: list[dict[str, str]] = []
    for drift in drifts:
        reference, feature = baseline.feature(drift.feature), sample.feature(drift.feature)
        found += [
            {"feature_name": drift.feature, "constraint_check_type": kind, "description": description}
            for kind, description in _feature_violations(reference, feature, drift)
        ]
    return {"violations": found}


def inferred_type(feature: FeatureProfile) -> str:
    """Integral, Fractional, String, or Unknown where there is no value."""
    if not feature.present:
        return "Unknown"
    if feature.kind != "numeric":
        return "String"
    return "Integral" if feature.integral == feature.present else "Fractional"


def _feature_statistics(feature: FeatureProfile) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": feature.name, "inferred_type": inferred_type(feature)}
    common = {"num_present": feature.present, "num_missing": feature.rows - feature.present}
    if feature.kind == "text":
        entry["string_statistics"] = {"common": common}
        return entry
    if feature.kind == "category":
        seen = {value: n for value, n in (feature.categories or {}).items() if n}
        entry["string_statistics"] = {
            "common": common,
            "distinct_count": float(len(seen)),
            "distribution": {"categorical": {"buckets": [{"value": v, "count": n} for v, n in seen.items()]}},
        }
        return entry
    entry["numerical_statistics"] = {"common": common}
    if feature.present and feature.minimum is not None:
        mean = feature.mean or 0.0
        entry["numerical_statistics"] |= {
            "mean": mean,
            "sum": mean * feature.present,
            "std_dev": feature.sd,
            "min": feature.minimum,
            "max": feature.maximum,
            "distribution": {"kll": {"buckets": _buckets(feature), "sketch": _sketch(feature)}},
        }
    elif feature.mean is not None:  # a personal feature: its smallest and largest value are somebody's
        entry["numerical_statistics"] |= {"mean": feature.mean, "std_dev": feature.sd}
    return entry


def _feature_constraints(feature: FeatureProfile) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": feature.name,
        "inferred_type": inferred_type(feature),
        "completeness": feature.completeness,
    }
    if feature.kind == "numeric":
        entry["num_constraints"] = {"is_non_negative": feature.minimum is not None and feature.minimum >= 0}
    elif feature.kind == "category" and not feature.other:
        entry["string_constraints"] = {"domains": sorted(feature.categories or {})}
    return entry


def _feature_violations(
    reference: FeatureProfile, feature: FeatureProfile, drift: FeatureDrift
) -> list[tuple[str, str]]:
    found = []
    if inferred_type(reference) == "Integral" and feature.present and feature.integral < feature.present:
        share = 100 * feature.integral / feature.present
        found.append(
            (
                "data_type_check",
                "Data type match requirement is not met. Expected data type: Integral, Expected match: 100.0%. "
                f"Observed: Only {share:.1f}% of data is Integral.",
            )
        )
    if drift.incomplete:
        found.append(
            (
                "completeness_check",
                f"Completeness requirement is not met. Expected: {100 * reference.completeness:.1f}%, "
                f"observed: {100 * feature.completeness:.1f}%",
            )
        )
    if drift.drifted:
        description = f"Baseline drift distance: {drift.value:.4g} exceeds threshold: {drift.threshold:g}"
        found.append(("baseline_drift_check", f"{description} ({drift.statistic})"))
    if reference.kind == "category" and not reference.other and drift.unknown > 0:
        inside = 1 - drift.unknown
        found.append(
            (
                "categorical_values_check",
                f"Value: {inside:.4g} does not meet the constraint requirement! Expected share inside the domain: 1.0",
            )
        )
    if reference.minimum is not None and reference.minimum >= 0 and (feature.minimum or 0.0) < 0:
        found.append(("non_negative_check", f"Values are expected to be ≥ 0; the smallest is {feature.minimum:g}"))
    return found


def _distribution(feature: FeatureProfile) -> tuple[list[float], list[float]]:
    """Points of the distribution function: values, and how many rows lie at or below each."""
    low, high = feature.minimum or 0.0, feature.maximum or 0.0
    values, ranks = [math.nextafter(low, -math.inf)], [0.0]
    total = 0
    for edge, count in zip(feature.edges, feature.counts, strict=False):
        total += count
        if low <= edge < high:
            values.append(edge)
            ranks.append(float(total))
    return [*values, high], [*ranks, float(feature.present)]


def _rank(points: tuple[list[float], list[float]], value: float) -> float:
    values, ranks = points
    k = bisect_right(values, value)
    if k == 0:
        return 0.0
    if k == len(values):
        return ranks[-1]
    share = (value - values[k - 1]) / (values[k] - values[k - 1])
    return ranks[k - 1] + share * (ranks[k] - ranks[k - 1])


def _quantile(points: tuple[list[float], list[float]], rank: float) -> float:
    values, ranks = points
    for (a, b), (r, s) in zip(pairwise(values), pairwise(ranks), strict=True):
        if rank <= s:
            return a + (b - a) * ((rank - r) / (s - r)) if s > r else b
    return values[-1]


def _buckets(feature: FeatureProfile) -> list[dict[str, float]]:
    """Ten equal buckets from minimum to maximum; lower bounds inclusive, the last one with its upper bound."""
    points = _distribution(feature)
    low, high = feature.minimum or 0.0, feature.maximum or 0.0
    bounds = [low + (high - low) * k / BUCKETS for k in range(BUCKETS)] + [high]
    below = [0.0, *(_rank(points, math.nextafter(b, -math.inf)) for b in bounds[1:-1]), float(feature.present)]
    return [
        {"lower_bound": a, "upper_bound": b, "count": s - r}
        for (a, b), (r, s) in zip(pairwise(bounds), pairwise(below), strict=True)
    ]


def _sketch(feature: FeatureProfile) -> dict[str, Any]:
    """Compactor levels whose items weigh 2^level and sum to the number of values: evenly spaced quantiles on the top level."""
    points = _distribution(feature)
    top = max(0, math.ceil(math.log2(feature.present / SKETCH_ITEMS)))
    items = feature.present >> top
    levels = [[_quantile(points, feature.present / 2)] if feature.present >> k & 1 else [] for k in range(top)]
    levels.append([_quantile(points, feature.present * (i + 0.5) / items) for i in range(items)])
    return {"parameters": {"c": 0.64, "k": 2048.0}, "data": levels}
