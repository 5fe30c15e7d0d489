"""L-infinity distance of categories."""

from __future__ import annotations

from collections.abc import Sequence

from mlplatform.core.drift.shares import paired


def linf(reference: Sequence[float], current: Sequence[float]) -> float:
    """L∞ = max |p_k − q_k| over categories (or bins): the largest change of one share (SageMaker Model Monitor's *LInfinity*).

    Args:
        reference, current: counts per category, the same categories in both. Raises ValueError where one is empty.
    """
    r, c = paired(reference, current)
    return max(abs(a - b) for a, b in zip(r, c, strict=True))
