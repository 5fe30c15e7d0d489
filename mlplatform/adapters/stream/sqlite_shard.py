"""One shard of `SqliteStream`: a SQLite file of records by sequence."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlplatform.adapters.sqlite_file import SqliteFile
from mlplatform.errors import ConflictError, DataError, StateError
from mlplatform.ports.stream import ShardState, StoredRecord

FORMAT = 1
MAX_READ_BYTES = 10 * 1024 * 1024
TRIM_RECORDS = 10_000
SET_BACK_US = 60_000_000
"""A clock that falls back by less only stands still for a while; by more, it was set: what it showed before was wrong."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# `head` keeps the newest sequence and time of arrival, so that neither falls back when all records were trimmed.
_SCHEMA = """
CREATE TABLE head (sequence INTEGER NOT NULL, arrived_us INTEGER NOT NULL);
INSERT INTO head VALUES (0, 0);
CREATE TABLE records (
    sequence INTEGER PRIMARY KEY, key TEXT NOT NULL, data BLOB NOT NULL, arrived_us INTEGER NOT NULL);
"""

# Made by the first clock that is set back: when records arrived at first. An older release takes no notice of it.
_FIRST = "CREATE TABLE IF NOT EXISTS first_arrivals (sequence INTEGER PRIMARY KEY, arrived_us INTEGER NOT NULL)"


class SqliteShard:
    """The shard in the file `path`, which is made by the first append."""

    def __init__(self, path: Path, stream: str) -> None:
        self._name = path.stem
        self._file = SqliteFile(path, what=f"Shard '{path.stem}' of stream '{stream}'", schema=_SCHEMA, version=FORMAT)

    def append(self, rows: Sequence[tuple[str, bytes]], clock: Callable[[], datetime]) -> list[str]:
        """Store (key, data) pairs behind the newest in one transaction; their sequences."""
        with self._file.transaction(write=True) as connection:
            # The clock is read inside the transaction: times of arrival then follow the order of commits.
            newest, before_us = connection.execute("SELECT sequence, arrived_us FROM head").fetchone()
            now_us = (clock() - _EPOCH) // _MICROSECOND
            set_back = before_us - now_us > SET_BACK_US
            if set_back:
                self._bring_back(connection, now_us)
            arrived_us = now_us if set_back else max(before_us, now_us)
            sequences = range(newest + 1, newest + 1 + len(rows))
            connection.executemany(
                "INSERT INTO records VALUES (?, ?, ?, ?)",
                ((s, key, data, arrived_us) for s, (key, data) in zip(sequences, rows, strict=True)),
            )
            connection.execute("UPDATE head SET sequence = ?, arrived_us = ?", (sequences[-1], arrived_us))
        return [_text(s) for s in sequences]

    def state(self) -> ShardState:
        """The ends; sequences are dense, so that the number of records follows from them."""
        if not self._file.path.exists():
            return ShardState(self._name, "", "", 0)
        with self._file.connection() as connection:
            oldest, newest = _ends(connection)
        if oldest > newest:
            return ShardState(self._name, "", "", 0)
        return ShardState(self._name, _text(oldest), _text(newest), newest - oldest + 1)

    def read(self, after: str, limit: int) -> list[StoredRecord]:
        """At most `limit` records and about `MAX_READ_BYTES`, but one record at least where there is one."""
        position = self._number(after)
        if not self._file.path.exists() and not position:
            return []
        with self._file.transaction(write=False) as connection:
            oldest, newest = _ends(connection)
            if after:
                self._check_position(position, oldest, newest)
            return self._read(connection, position, limit)

    def trim(self, before: datetime, now: datetime, upto: str) -> int:
        """Remove records up to `upto` that arrived earlier than `before`, some thousands in a transaction; how many.

        One that was brought back arrived when it did at first, where that is not later than `now`: else a clock that is set
        back for a moment would take the rest of its time.
        """
        last = self._number(upto)
        bound_us, now_us = ((at - _EPOCH) // _MICROSECOND for at in (before, now))
        gone = 0
        while self._file.path.exists():
            with self._file.transaction(write=True) as connection:
                oldest, newest = _ends(connection)
                keep = _first_at(
                    connection, bound_us, oldest, max(oldest, min(newest + 1, last + 1, oldest + TRIM_RECORDS))
                )
                keep = _first_fresh(connection, bound_us, now_us, keep)
                connection.execute("DELETE FROM records WHERE sequence < ?", (keep,))
                if _knows_first(connection):
                    connection.execute("DELETE FROM first_arrivals WHERE sequence < ?", (keep,))
            gone += keep - oldest
            if keep < oldest + TRIM_RECORDS:
                break
        return gone

    def close(self) -> None:
        """Close the file; it is opened again when it is used."""
        self._file.close()

    def _bring_back(self, connection: sqlite3.Connection, now_us: int) -> None:
        """Let nothing have arrived after now: it would be neither delivered by its age nor trimmed until then."""
        oldest, newest = _ends(connection)
        first = _first_at(connection, now_us, oldest, newest + 1)
        connection.execute(_FIRST)
        # Where one was brought back before, the first time stays.
        connection.execute(
            "INSERT OR IGNORE INTO first_arrivals SELECT sequence, arrived_us FROM records WHERE sequence >= ?",
            (first,),
        )
        connection.execute("UPDATE records SET arrived_us = ? WHERE sequence >= ?", (now_us, first))

    def _read(self, connection: sqlite3.Connection, position: int, limit: int) -> list[StoredRecord]:
        found, size_bytes = [], 0
        rows = connection.execute(
            "SELECT sequence, key, data, arrived_us FROM records WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (position, limit),
        )
        for sequence, key, data, arrived_us in rows:
            arrived_at = _EPOCH + arrived_us * _MICROSECOND
            found.append(StoredRecord(self._name, _text(sequence), key, data, arrived_at))
            size_bytes += len(data)
            if size_bytes >= MAX_READ_BYTES:
                break
        rows.close()
        return found

    def _check_position(self, position: int, oldest: int, newest: int) -> None:
        if oldest > position + 1:
            raise StateError(
                f"{self._file.what}: {oldest - position - 1} records behind sequence {_text(position)} were removed by "
                "retention.",
                next_step="Read from the oldest kept (after=''), or lengthen retention_h.",
            )
        if position > newest:
            raise ConflictError(
                f"{self._file.what} ends at sequence {_text(newest)}, and a reader stands at {_text(position)}: this is "
                "another stream, or an older copy of it.",
                next_step="Restore stream and objects from the same backup, or deliver under a new prefix.",
            )

    def _number(self, after: str) -> int:
        if after and not (after.isascii() and after.isdigit()):
            raise DataError(f"{self._file.what}: '{after}' is no sequence; expected {len(_text(0))} digits.")
        return int(after or 0)


def _ends(connection: sqlite3.Connection) -> tuple[int, int]:
    """Oldest and newest stored sequence; where none is stored, the next one to come and the newest there was."""
    oldest, newest = connection.execute("SELECT (SELECT min(sequence) FROM records), sequence FROM head").fetchone()
    return (newest + 1 if oldest is None else oldest), newest


def _first_at(connection: sqlite3.Connection, bound_us: int, low: int, high: int) -> int:
    """First sequence in ``low … high`` that arrived at `bound_us` or later, else `high`: times grow with sequences."""
    while low < high:
        middle = (low + high) // 2
        arrived_us = connection.execute("SELECT arrived_us FROM records WHERE sequence = ?", (middle,)).fetchone()[0]
        low, high = (low, middle) if arrived_us >= bound_us else (middle + 1, high)
    return low


def _knows_first(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'first_arrivals'").fetchone() is not None


def _first_fresh(connection: sqlite3.Connection, bound_us: int, now_us: int, high: int) -> int:
    """First sequence below `high` that at first arrived from `bound_us` to `now_us`, else `high`."""
    if not _knows_first(connection):
        return high
    found = connection.execute(
        "SELECT min(sequence) FROM first_arrivals WHERE sequence < ? AND arrived_us BETWEEN ? AND ?",
        (high, bound_us, now_us),
    ).fetchone()[0]
    return high if found is None else int(found)


def _text(sequence: int) -> str:
    return f"{sequence:020d}"
