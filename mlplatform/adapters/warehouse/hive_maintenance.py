"""Upkeep of a system in Hive: small parts merged, the ledger moved out of the state, and what nobody reads deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from mlplatform.adapters.warehouse.hive_commits import HiveCommits, entry_id
from mlplatform.adapters.warehouse.hive_ledger import HiveLedger
from mlplatform.adapters.warehouse.hive_log import Entry, Part, State, folder_of
from mlplatform.adapters.warehouse.hive_parts import NO_PART, PART_OF_PATH, HiveParts
from mlplatform.ports.warehouse import Maintained

SMALL_BYTES = 64 * 1024 * 1024
"""A part below that size is merged with others."""

UNFINISHED = timedelta(days=1)
"""A part that no commit names may be that of a load that still works, for so long."""


def maintain(
    commits: HiveCommits,
    parts: HiveParts,
    ledger: HiveLedger,
    *,
    now: datetime,
    keep: timedelta,
    on_progress: Callable[[str], None],
) -> Maintained:
    """See `ports.warehouse.Warehouse.maintain`. Files that were swapped out are kept for `keep`: somebody may read them."""
    before = len(commits.state(afresh=True).parts)
    ledger.to_parts(commits, at_least=1)
    for table in sorted({part.table for part in commits.state().parts.values()}):
        small = [part for part in commits.state().parts_of(table) if part.size_bytes < SMALL_BYTES]
        if len(small) > 1:
            on_progress(f"Table '{table}': merging {len(small)} parts")
            _merge(commits, parts, table, small, now)
    deleted = _delete_dead(commits, parts, now - keep)
    commits.checkpoint()
    deleted += commits.clean(now=now, keep=keep)
    deleted += _delete_unfinished(commits, parts, now - max(keep, UNFINISHED))
    return Maintained(files_before=before, files_after=len(commits.state().parts), files_deleted=deleted)


def _merge(commits: HiveCommits, parts: HiveParts, table: str, small: list[Part], now: datetime) -> None:
    state = commits.state()
    found = state.table(table)
    if found is None:
        return
    select = f"SELECT * FROM ({parts.relation(state, table, parts=small)}) AS r"
    merged = parts.write(table, folder_of(table, found.columns), select, sum(part.rows for part in small))

    def entry(state: State) -> Entry | None:
        if any(part.id not in state.parts for part in small):
            return None  # Erased or replaced meanwhile: what was merged is out of date.
        return Entry(entry_id(), now.isoformat(), added=(merged,), removed=tuple(part.id for part in small))

    if merged.id not in commits.commit(entry, f"Merge of table '{table}'").parts:
        parts.delete([merged])


def _delete_dead(commits: HiveCommits, parts: HiveParts, until: datetime) -> int:
    """Deletes removed parts: first they are doomed, so that who was reading them knows that rows may be missing."""
    dead = [part for part, at in commits.state().dead.values() if not at or _time(at) <= until]
    names = tuple(part.id for part in dead)
    if not names:
        return 0
    commits.commit(lambda _: Entry(entry_id(), until.isoformat(), doomed=names), "Upkeep")
    deleted = parts.delete(dead)
    commits.commit(lambda _: Entry(entry_id(), until.isoformat(), dropped=names), "Upkeep")
    return deleted


def _delete_unfinished(commits: HiveCommits, parts: HiveParts, until: datetime) -> int:
    """Parts that were put and never committed: of loads that were killed, or lost a race."""
    state = commits.state(afresh=True)
    known = {*state.parts, *state.dead, NO_PART}
    left = [
        info.key
        for info in parts.store.list(parts.prefix)
        if (found := PART_OF_PATH.search(info.key)) is not None and found[1] not in known and info.modified <= until
    ]
    for key in left:
        parts.store.delete(key)
    return len(left)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
