"""What chance explains: two samples of one distribution differ too, and small ones differ much."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z = 3.0902
"""The normal distribution's 99.9 % quantile: one false alarm in a thousand features judged."""


def chi_square(reference: Sequence[float], current: Sequence[float]) -> tuple[float, int]:
    """χ² = Σ (√(m/n)·r − √(n/m)·c)² / (r+c) over bins, and its degrees of freedom: bins with a count in either, less one.

    For two binned samples of n and m (Press et al. 2007, Numerical Recipes, 3rd ed., §14.3.3).

    Args:
        reference, current: counts per bin, the same bins in both, each with at least one count.
    """
    n, m = sum(reference), sum(current)
    a, b = math.sqrt(m / n), math.sqrt(n / m)
    filled = [(r, c) for r, c in zip(reference, current, strict=True) if r or c]
    return math.fsum((a * r - b * c) ** 2 / (r + c) for r, c in filled), len(filled) - 1


def chi_square_limit(degrees: int) -> float:
    """The 99.9 % quantile of χ² = k·(1 − 2/(9k) + z·√(2/(9k)))³ (Wilson & Hilferty 1931); 0 for no degree of freedom."""
    if degrees < 1:
        return 0.0
    part = 2 / (9 * degrees)
    return degrees * (1 - part + Z * math.sqrt(part)) ** 3


def by_chance(reference: Sequence[float], current: Sequence[float]) -> bool:
    """Whether the two samples may be of one distribution, as far as so many values can tell."""
    value, degrees = chi_square(reference, current)
    return degrees < 1 or value <= chi_square_limit(degrees)
