"""Judges a profile against the baseline, feature by feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mlplatform.core.drift.chance import by_chance
from mlplatform.core.drift.js import js
from mlplatform.core.drift.ks import ks, robust_ks
from mlplatform.core.drift.linf import linf
from mlplatform.core.drift.profile import FeatureProfile, Kind, Profile
from mlplatform.core.drift.psi import psi

Statistic = Literal["psi", "js", "ks", "linf"]


@dataclass(frozen=True)
class FeatureDrift:
    """How far one feature is from the baseline.

    Attributes:
        statistic, value, threshold: what was judged; value None where a sample has no values to compare.
        psi, js, linf, ks, ks_robust: all of them, as evidence; ks is None for categories, which have no order.
        expected_psi: PSI that samples of these sizes show by chance alone, (bins−1)·(1/n+1/m) (Yurdakul & Naranjo 2020).
        by_chance: whether samples of these sizes may differ so though nothing moved (χ² at 99.9 %); then nothing drifted.
        completeness_fall: baseline's share of non-NULL values less this sample's; may be negative.
        fall_by_chance: the same of the completeness.
        unknown: share of values that are in none of the baseline's categories beyond the baseline's own share of such.
    """

    feature: str
    kind: Kind
    statistic: Statistic
    value: float | None
    threshold: float
    psi: float | None
    js: float | None
    linf: float | None
    ks: float | None
    ks_robust: float | None
    expected_psi: float | None
    completeness: float
    completeness_fall: float
    completeness_threshold: float
    unknown: float = 0.0
    by_chance: bool = False
    fall_by_chance: bool = False

    @property
    def above(self) -> bool:
        """Whether the statistic is above its threshold, whatever explains it."""
        return self.value is not None and self.value > self.threshold

    @property
    def drifted(self) -> bool:
        """Whether the statistic is above its threshold, and chance does not explain it."""
        return self.above and not self.by_chance

    @property
    def incomplete(self) -> bool:
        """Whether more values are missing than the threshold allows, and chance does not explain it."""
        return self.completeness_fall > self.completeness_threshold and not self.fall_by_chance

    @property
    def passed(self) -> bool:
        return not self.drifted and not self.incomplete

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


def judge(
    baseline: Profile,
    sample: Profile,
    *,
    statistic: Statistic = "psi",
    threshold: float,
    thresholds: Mapping[str, float] | None = None,
    completeness: float,
) -> list[FeatureDrift]:
    """Each feature of the baseline against the same one of `sample`, which was counted on the baseline's bins.

    `ks` needs an order, so categories are then judged by `linf`, as SageMaker Model Monitor does. A feature of which
    either sample has no value is judged by its completeness alone.

    Args:
        threshold: for features that `thresholds` does not name. completeness: largest fall accepted.
    """
    limits = thresholds or {}
    return [
        _judge(
            reference, sample.feature(reference.name), statistic, limits.get(reference.name, threshold), completeness
        )
        for reference in baseline.features
    ]


def _judge(
    reference: FeatureProfile, sample: FeatureProfile, statistic: Statistic, threshold: float, completeness: float
) -> FeatureDrift:
    fall = reference.completeness - sample.completeness
    used: Statistic = "linf" if statistic == "ks" and reference.kind == "category" else statistic
    values: dict[str, float | None] = dict.fromkeys(("psi", "js", "linf", "ks", "ks_robust", "expected_psi"), None)
    unknown, chance = 0.0, False
    r, c = reference.histogram(), sample.histogram()
    n, m = reference.present, sample.present
    if n and m:
        values |= {"psi": psi(r, c), "js": js(r, c), "linf": linf(r, c)}
        chance = by_chance(r, c)
        bins = sum(1 for a, b in zip(r, c, strict=True) if a or b)
        values["expected_psi"] = (bins - 1) * (1 / n + 1 / m)
        if reference.kind != "category":
            distance = ks(r, c)
            values |= {"ks": distance, "ks_robust": robust_ks(distance, n, m)}
        else:
            unknown = max(0.0, sample.other / m - reference.other / n)
    return FeatureDrift(
        feature=reference.name,
        kind=reference.kind,
        statistic=used,
        value=values[used],
        threshold=threshold,
        completeness=sample.completeness,
        completeness_fall=fall,
        completeness_threshold=completeness,
        unknown=unknown,
        by_chance=chance,
        fall_by_chance=_by_chance_missing(reference, sample),
        **values,
    )


def _by_chance_missing(reference: FeatureProfile, sample: FeatureProfile) -> bool:
    counts = [[f.present, f.rows - f.present] for f in (reference, sample)]
    return all(map(any, counts)) and by_chance(*counts)
