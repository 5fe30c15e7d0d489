"""Population stability index."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlplatform.core.drift.shares import paired

FLOOR = 1e-4
"""Smallest share that counts: an empty bin would make the index infinite."""


def psi(reference: Sequence[float], current: Sequence[float]) -> float:
    """PSI = Σ (c−r)·ln(c/r) over bins, shares floored at 1e-4; bins: reference deciles (Siddiqi 2006, Credit Risk Scorecards).

    Symmetric, ≥ 0, no upper bound. Siddiqi's reading: under 0.1 stable, 0.1 … 0.25 look at it, above 0.25 moved.

    Args:
        reference, current: counts per bin, the same bins in both. Raises ValueError where one is empty.
    """
    pairs = zip(*paired(reference, current), strict=True)
    return math.fsum((c - r) * math.log(c / r) for r, c in ((max(r, FLOOR), max(c, FLOOR)) for r, c in pairs))
