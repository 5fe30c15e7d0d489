"""Jensen–Shannon distance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlplatform.core.drift.shares import paired


def js(reference: Sequence[float], current: Sequence[float]) -> float:
    """JS = √(½·Σ r·log₂(r/m) + ½·Σ c·log₂(c/m)), m = (r+c)/2 (Endres & Schindelin 2003, IEEE Trans. Inf. Theory 49).

    A metric between 0 (same) and 1 (no bin in common); base 2.

    Args:
        reference, current: counts per bin, the same bins in both. Raises ValueError where one is empty.
    """
    r, c = paired(reference, current)
    m = [(a + b) / 2 for a, b in zip(r, c, strict=True)]
    divergence = (_entropy_to(r, m) + _entropy_to(c, m)) / 2
    return math.sqrt(max(0.0, divergence))


def _entropy_to(p: Sequence[float], m: Sequence[float]) -> float:
    return math.fsum(a * math.log2(a / b) for a, b in zip(p, m, strict=True) if a > 0)
