"""Which snapshots go: those older than is kept, and of those in between all but the last of each minute, then of each hour.

A catalogue is slower with every snapshot it lists: with 600,000, a week of a commit a second, a load takes five times as
long, a query ten times. So an hour's are all kept, for reads that began in it; a day's by the minute, the rest by the hour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from mlplatform.adapters.warehouse.ducklake_commit import retried
from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine

TIERS = ((timedelta(hours=1), timedelta(minutes=1)), (timedelta(days=1), timedelta(hours=1)))
"""From which age on, and of how long the last snapshot is kept."""

_AT_ONCE = 10_000
"""Snapshots expired in one commit: others that write wait for it."""

Snapshot = tuple[int, datetime]


def expire(
    engine: DuckLakeEngine, now: datetime, keep: timedelta, pinned: Collection[str], *, all_but_newest: bool
) -> tuple[int, tuple[str, ...]]:
    """Expires what need not be read any more, or all, for the sake of an erasure; never the newest, else none that is pinned.

    Gives how many, and the pinned ones that are there.
    """
    rows = (
        engine.writer().execute("SELECT snapshot_id, snapshot_time FROM w.snapshots() ORDER BY snapshot_id").fetchall()
    )
    found: list[Snapshot] = [(int(version), at.astimezone(UTC)) for version, at in rows]
    wanted = {int(version) for version in pinned if version.isdigit()}
    old = (
        [v for v, _ in found[:-1]] if all_but_newest else [v for v in superfluous(found, now, keep) if v not in wanted]
    )
    for first in range(0, len(old), _AT_ONCE):
        versions = ", ".join(map(str, old[first : first + _AT_ONCE]))
        call = f"CALL ducklake_expire_snapshots('w', versions => [{versions}])"
        retried(lambda call=call: engine.writer().execute(call), "Expiry of snapshots", masked=engine.masked)  # type: ignore[misc]
    gone = set(old)
    return len(old), tuple(str(version) for version, _ in found if version in wanted and version not in gone)


def superfluous(found: Sequence[Snapshot], now: datetime, keep: timedelta) -> Iterator[int]:
    """Of snapshots in order, those that nobody reads at their age; the newest is none of them."""
    for (version, at), (_, next_at) in pairwise(found):
        age = now - at
        step = next((step for since, step in reversed(TIERS) if age > since), None)
        if age > keep or (step is not None and _bucket(at, step) == _bucket(next_at, step)):
            yield version


def _bucket(at: datetime, step: timedelta) -> int:
    return int(at.timestamp() // step.total_seconds())
