"""Rounds: ours and the peer in turn, so that both meet the same machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from benchmarks.rows import Series

T = TypeVar("T")
Measures = Mapping[str, float]


def paired(
    ours: Callable[[], T], peer: Callable[[], T], *, rounds: int, say: Callable[[str], None] = lambda _: None
) -> list[tuple[T, T]]:
    """`rounds` times ours, then the peer (A B A B …); what each returned, a pair a round."""
    found = []
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}")
        found.append((ours(), peer()))
    return found


def series(pairs: Sequence[tuple[Measures, Measures]], name: str) -> tuple[Series, Series]:
    """The quantity `name` of both sides over all rounds."""
    return Series.of([o[name] for o, _ in pairs]), Series.of([p[name] for _, p in pairs])
