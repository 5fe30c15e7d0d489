"""The shards of a stand-in for Kinesis: what they hold, in which order, and what becomes of them when they are split.

What ministack leaves out is here as AWS has it: closed shards keep their records until retention takes them, sequences
have 56 digits with gaps, and the clock is the test's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, pairwise

KEYS = 2**128
FIRST_SEQUENCE = 49_600_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000
GAP = 7_919


@dataclass(frozen=True)
class Held:
    """A record in a shard."""

    sequence: str
    key: str
    data: str
    arrived_at: datetime


@dataclass
class Shard:
    """Hash keys ``low … high``; `ending` is "" while it takes records."""

    name: str
    low: int
    high: int
    starting: str
    parents: tuple[str, ...] = ()
    ending: str = ""
    closed_at: datetime | None = None
    children: tuple[str, ...] = ()
    records: list[Held] = field(default_factory=list)


class Shards:
    """The shards of one stream by `clock`; `count_` of them at first."""

    def __init__(self, count_: int, clock: Callable[[], datetime], retention: timedelta) -> None:
        self._clock = clock
        self._numbers = count(FIRST_SEQUENCE, GAP)
        self._names = (f"shardId-{number:012d}" for number in count())
        self.retention = retention
        self.shards: dict[str, Shard] = {}
        self._add(_ranges(count_), ())

    @property
    def open(self) -> list[Shard]:
        """Those that take records."""
        return [shard for shard in self.shards.values() if not shard.ending]

    def put(self, key: str, data: str) -> tuple[str, str]:
        """Store a record; shard and sequence."""
        number = int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest())
        shard = next(s for s in self.open if s.low <= number <= s.high)
        held = Held(str(next(self._numbers)), key, data, self._clock())
        shard.records.append(held)
        return shard.name, held.sequence

    def trim(self) -> None:
        """Let go what is older than the retention: records, and closed shards."""
        before = self._clock() - self.retention
        for shard in list(self.shards.values()):
            shard.records = [held for held in shard.records if held.arrived_at >= before]
            if shard.closed_at is not None and shard.closed_at < before:
                del self.shards[shard.name]

    def split(self, name: str) -> None:
        """Two shards in the place of one."""
        shard = self.shards[name]
        middle = (shard.low + shard.high) // 2
        self._replace([shard], [(shard.low, middle), (middle + 1, shard.high)])

    def merge(self, first: str, second: str) -> None:
        """One shard in the place of two that lie side by side."""
        low, high = self.shards[first], self.shards[second]
        assert low.high + 1 == high.low
        self._replace([low, high], [(low.low, high.high)])

    def count(self, target: int) -> None:
        """So many shards, of the same size."""
        self._replace(self.open, _ranges(target))

    def _replace(self, before: list[Shard], ranges: list[tuple[int, int]]) -> None:
        for shard in before:
            shard.ending, shard.closed_at = str(next(self._numbers)), self._clock()
        names = tuple(shard.name for shard in before)
        made = self._add(ranges, names)
        for shard in before:
            shard.children = tuple(made)

    def _add(self, ranges: list[tuple[int, int]], parents: tuple[str, ...]) -> list[str]:
        made = []
        for low, high in ranges:
            name = next(self._names)
            self.shards[name] = Shard(name, low, high, str(next(self._numbers)), parents[:2])
            made.append(name)
        return made


def _ranges(parts: int) -> list[tuple[int, int]]:
    bounds = [KEYS * part // parts for part in range(parts + 1)]
    return [(low, high - 1) for low, high in pairwise(bounds)]
