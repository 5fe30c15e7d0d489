"""Maintenance: a warehouse's upkeep when enough was committed, or when asked; never what a model refers to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from mlplatform.ports.warehouse import FOR_EVER, Maintained, Warehouse

KEEP = timedelta(days=7)
"""How long a snapshot that no model refers to can be read."""

MAX_COMMITS = 500
"""Commits since the last upkeep that make it due: each leaves a small file, and scans slow down with their number."""

AHEAD = timedelta(minutes=1)
"""What is dated later than now by more was written before the clock was set back."""

PURGE_AFTER = timedelta(hours=1, minutes=5)
"""Upkeep runs again so long after an erasure: files that no snapshot needs stay for an hour, for reads that began before."""


class Maintenance:
    """Upkeep of one warehouse; `pinned` gives the versions that models refer to, asked anew each time."""

    def __init__(
        self,
        warehouse: Warehouse,
        *,
        pinned: Callable[[], Sequence[str]],
        keep: timedelta = KEEP,
        max_commits: int = MAX_COMMITS,
    ) -> None:
        self._warehouse = warehouse
        self._pinned = pinned
        self._keep = keep
        self._max_commits = max_commits
        self._done_at = 0

    def due(self, now: datetime, *, believed: bool = True) -> bool:
        """Whether `max_commits` batches were committed since this instance's last run (or ever), or an erasure waits.

        An erasure waits until `now` is believed: its end is a matter of time.
        """
        if not self._warehouse.capabilities.maintenance:
            return False
        return self._commits() - self._done_at >= self._max_commits or (believed and self._erasures(now) > 0)

    def run(
        self, now: datetime, *, believed: bool = True, on_progress: Callable[[str], None] | None = None
    ) -> Maintained:
        """Merges, and where `now` is believed, expires and deletes. See `ports.warehouse.Warehouse.maintain`."""
        commits = self._commits()
        keep = self._keep if believed else FOR_EVER
        done = self._warehouse.maintain(now=now, keep=keep, pinned=tuple(self._pinned()), on_progress=on_progress)
        self._done_at = commits
        return done

    def _erasures(self, now: datetime) -> int:
        """Erasures whose rows a snapshot still shows, or a file holds longer than it must."""
        sql = (
            "SELECT count(*) AS n FROM _erasures WHERE rewritten_at IS NULL "
            "OR (purged_at IS NULL AND (rewritten_at < ? OR rewritten_at > ?))"
        )
        bounds = [at.astimezone(UTC).replace(tzinfo=None) for at in (now - PURGE_AFTER, now + AHEAD)]
        return int(self._warehouse.query(sql, bounds).to_pylist()[0]["n"])

    def _commits(self) -> int:
        return int(self._warehouse.query("SELECT count(*) AS n FROM _ledger").to_pylist()[0]["n"])
