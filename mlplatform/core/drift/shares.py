"""Counts per bin to shares: what every statistic of this folder compares."""

from __future__ import annotations

from collections.abc import Sequence


def shares(counts: Sequence[float]) -> list[float]:
    """Each count over their sum. Raises ValueError where the sum is 0: an empty sample has no distribution."""
    total = float(sum(counts))
    if total <= 0:
        raise ValueError("an empty sample has no distribution")
    return [count / total for count in counts]


def paired(reference: Sequence[float], current: Sequence[float]) -> tuple[list[float], list[float]]:
    """Shares of both samples over the same bins. Raises ValueError where the bins differ or a sample is empty."""
    if len(reference) != len(current):
        raise ValueError(f"{len(reference)} reference bins against {len(current)}")
    return shares(reference), shares(current)
