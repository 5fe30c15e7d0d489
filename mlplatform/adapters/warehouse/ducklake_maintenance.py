"""Upkeep of a DuckLake: merge small files, expire old snapshots, delete what no snapshot needs.

A version that is pinned (a model refers to it) is never expired, nor are its files deleted, unless an erasure released
it: then rows that were deleted are written out of their files, and every snapshot made before goes. Files that a merge or an
expiry let go are deleted a while later, so that reads that began before still find them; so are files that a killed
load left behind.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlplatform.adapters.warehouse.ducklake_commit import retried
from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.ducklake_errors import mapped
from mlplatform.adapters.warehouse.ducklake_expiry import expire
from mlplatform.adapters.warehouse.ducklake_tables import table_names
from mlplatform.core.sql import literal
from mlplatform.ports.warehouse import FOR_EVER, Maintained
from mlplatform.spec.process_name import is_alive

if TYPE_CHECKING:
    import duckdb

GRACE = timedelta(hours=1)
"""How long a file that no snapshot needs stays, for reads that began before; also the age of a load that is taken for dead."""

AHEAD = timedelta(minutes=1)
"""What is dated later than now by more was written before the clock was set back."""

_DELETED_SHARE = 0.3
"""A file is written anew when so much of it was deleted; at an erasure from snapshots, any that lost a row."""


def maintain(
    engine: DuckLakeEngine,
    *,
    now: datetime,
    keep: timedelta,
    pinned: Sequence[str],
    on_progress: Callable[[str], None],
) -> Maintained:
    """See `ports.warehouse.Warehouse.maintain`."""
    writer = engine.writer()
    before = _files(engine)
    on_progress(f"{before} files before")
    believed = keep < FOR_EVER
    if believed:
        _bring_back(engine, now)
    erasures = _erasures(writer) if believed else []
    fresh = [erasure for erasure in erasures if erasure.rewritten_at is None]
    share = 0.0 if fresh else _DELETED_SHARE
    for name in sorted(table_names(writer)):
        table = literal(name)
        _call(engine, f"ducklake_flush_inlined_data('w', table_name => {table})", f"Flush of '{name}'")
        _call(engine, f"ducklake_rewrite_data_files('w', {table}, delete_threshold => {share})", f"Rewrite of '{name}'")
        _call(engine, f"ducklake_merge_adjacent_files('w', {table})", f"Merge of '{name}'")
        on_progress(f"merged '{name}'")
    if not believed:
        return Maintained(before, _files(engine))
    expired, kept = expire(engine, now, keep, pinned, all_but_newest=bool(fresh))
    on_progress(f"expired {expired} snapshots")
    deleted = _delete(engine, now - GRACE)
    _sweep_scratch(engine, now - GRACE)
    _note(writer, "rewritten_at", fresh)
    ended = [e for e in erasures if e.rewritten_at is not None and e.rewritten_at < now - GRACE]
    # An erasure has come to its end with the catalogue's freed pages; until then it asks for upkeep again.
    if (fresh or ended) and engine.place.vacuum():
        _note(writer, "purged_at", ended)
    after = _files(engine)
    on_progress(f"deleted {deleted} files; {after} files after")
    return Maintained(before, after, snapshots_expired=expired, files_deleted=deleted, kept_versions=kept)


def _bring_back(engine: DuckLakeEngine, now: datetime) -> None:
    """Let nothing have been committed, let go or written anew after `now`: its time would not come for as long."""
    writer = engine.writer()
    at, until = (f"TIMESTAMPTZ {literal(t.astimezone(UTC).isoformat(sep=' '))}" for t in (now, now + AHEAD))
    dated = [
        (f"{engine.metadata}.ducklake_snapshot", "snapshot_time", "TIMESTAMPTZ", ""),
        (f"{engine.metadata}.ducklake_files_scheduled_for_deletion", "schedule_start", "TIMESTAMPTZ", ""),
    ]
    if "_erasures" in table_names(writer):
        dated.append(("w.main._erasures", "rewritten_at", "TIMESTAMP", " AT TIME ZONE 'UTC'"))
    for table, column, kind, zone in dated:
        ahead = f"CAST({column} AS {kind}) > {until}{zone}"
        found = writer.execute(f"SELECT count(*) FROM {table} WHERE {ahead}").fetchone()
        if found and found[0]:
            sql = f"UPDATE {table} SET {column} = {at}{zone} WHERE {ahead}"
            retried(lambda sql=sql: writer.execute(sql), "Times of before the clock was set back")  # type: ignore[misc]


def _call(engine: DuckLakeEngine, function: str, subject: str) -> None:
    retried(lambda: engine.writer().execute(f"CALL {function}"), subject, masked=engine.masked)


@dataclass(frozen=True)
class _Unpurged:
    """An erasure whose rows some file may still hold."""

    id: str
    table: str
    rewritten_at: datetime | None


def _erasures(writer: duckdb.DuckDBPyConnection) -> list[_Unpurged]:
    if "_erasures" not in table_names(writer):
        return []
    rows = writer.execute(
        "SELECT erasure_id, table_name, rewritten_at FROM w.main._erasures WHERE purged_at IS NULL"
    ).fetchall()
    return [_Unpurged(name, table, at and at.replace(tzinfo=UTC)) for name, table, at in rows]


def _note(writer: duckdb.DuckDBPyConnection, column: str, erasures: Sequence[_Unpurged]) -> None:
    """By the engine's clock, which also dates the files it lets go."""
    for each in erasures:
        sql = f"UPDATE w.main._erasures SET {column} = CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP) WHERE erasure_id = ? AND table_name = ?"
        retried(lambda sql=sql, each=each: writer.execute(sql, [each.id, each.table]), "Book of erasures")  # type: ignore[misc]


def _files(engine: DuckLakeEngine) -> int:
    row = (
        engine.writer()
        .execute(f"SELECT count(*) FROM {engine.metadata}.ducklake_data_file WHERE end_snapshot IS NULL")
        .fetchone()
    )
    return int(row[0]) if row else 0


def _delete(engine: DuckLakeEngine, before: datetime) -> int:
    """Deletes files that were let go, and files that no commit names, both only if that was before `before`; how many.

    Not by ducklake_cleanup_old_files: on a SQLite catalogue it takes no notice of `older_than`.
    """
    writer = engine.writer()
    stamp = f"TIMESTAMPTZ {literal(before.astimezone(UTC).isoformat(sep=' '))}"
    scheduled = f"{engine.metadata}.ducklake_files_scheduled_for_deletion"
    gone = writer.execute(
        f"SELECT data_file_id, path, path_is_relative FROM {scheduled} WHERE CAST(schedule_start AS TIMESTAMPTZ) < {stamp}"
    ).fetchall()
    for _, path, relative in gone:
        engine.place.delete(path, relative=bool(relative))
    if gone:
        ids = ", ".join(str(int(number)) for number, _, _ in gone)
        retried(
            lambda: writer.execute(f"DELETE FROM {scheduled} WHERE data_file_id IN ({ids})"), "Deletion of old files"
        )
    with mapped("Deletion of files that no commit names"):
        orphans = writer.execute(f"CALL ducklake_delete_orphaned_files('w', older_than => {stamp})").fetchall()
    return len(gone) + len(orphans)


def _sweep_scratch(engine: DuckLakeEngine, before: datetime) -> None:
    """Removes what processes that are gone left half done. Old alone is also what one that lives has not touched for long."""
    for folder in (engine.root / "scratch").iterdir() if (engine.root / "scratch").is_dir() else ():
        if not is_alive(folder.name.rpartition("-")[0]) and folder.stat().st_mtime < before.timestamp():
            shutil.rmtree(folder, ignore_errors=True)
