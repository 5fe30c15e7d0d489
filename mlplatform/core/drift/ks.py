"""Kolmogorov–Smirnov distance, plain and robust against small samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from mlplatform.core.drift.shares import paired

ROBUST_C = 1.8
"""c of the robust form: √(−ln(α/2)/2) at α ≈ 0.003."""


def ks(reference: Sequence[float], current: Sequence[float]) -> float:
    """D = max |F_r(x) − F_c(x)|, taken at the bins' upper edges (Smirnov 1939), so never above the exact D of the rows.

    Args:
        reference, current: counts per *ordered* bin, the same bins in both. Raises ValueError where one is empty.
    """
    r, c = paired(reference, current)
    return max(abs(a - b) for a, b in zip(accumulate(r), accumulate(c), strict=True))


def robust_ks(distance: float, reference_rows: int, current_rows: int) -> float:
    """D_robust = max(0, D − c·√((n+m)/(n·m))), c = 1.8: what of D chance does not explain (SageMaker Model Monitor's *Robust*)."""
    n, m = reference_rows, current_rows
    return max(0.0, distance - ROBUST_C * math.sqrt((n + m) / (n * m)))
