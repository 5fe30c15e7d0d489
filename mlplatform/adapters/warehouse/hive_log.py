"""What a system's tables in Hive are: the state that its log of commits adds up to. Pure: objects are read elsewhere.

Hive has no transactions that span tables. A commit is therefore one small object at the next position of a log, put only
where none is there: it names the parts (folders of Parquet files that never change) that rows are added by and taken out
with, and what becomes of ledger, guards and schema. A part that no commit names is nobody's rows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from mlplatform.core.loads.guards import LOADS
from mlplatform.core.loads.plan import Guard
from mlplatform.core.tables.books import LEDGER, QUARANTINE

Columns = tuple[tuple[str, str], ...]
"""Names and logical types, in order."""

BOOK_TABLES: Mapping[str, Columns] = {"_ledger": LEDGER, "_quarantine": QUARANTINE}
"""Books that are kept as parts, like tables."""


@dataclass(frozen=True)
class Part:
    """Rows of `table` that were written together: files in a place of their own below `folder`, which tells their columns."""

    id: str
    table: str
    folder: str
    rows: int
    size_bytes: int


@dataclass(frozen=True)
class Table:
    """Columns as they are read; `folders`: the columns of the files in each."""

    columns: Columns
    folders: Mapping[str, Columns]


@dataclass(frozen=True)
class Entry:
    """One commit. `id` tells it from another writer's at the same position.

    `doomed` parts are about to be deleted, whether they were removed before or are by this; `dropped` ones were, and need
    not be remembered. `in_parts`: ledger rows of commits up to this
    position lie in parts.
    """

    id: str
    at: str
    tables: Mapping[str, Table] = field(default_factory=dict)
    guards: tuple[Guard, ...] = ()
    ledger: tuple[Mapping[str, Any], ...] = ()
    erasures: tuple[Mapping[str, Any], ...] = ()
    added: tuple[Part, ...] = ()
    removed: tuple[str, ...] = ()
    doomed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    in_parts: int = 0

    def to_json(self) -> bytes:
        return _dump(asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> Entry:
        found = json.loads(data)
        found["tables"] = _tables(found["tables"])
        found["guards"] = tuple(Guard(**row) for row in found["guards"])
        found["added"] = tuple(Part(**row) for row in found["added"])
        fields: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in found.items()}
        return cls(**fields)


@dataclass(frozen=True)
class State:
    """What was committed up to `position` (0: nothing). `ledger`: (position of its commit, row) of those not in parts yet;
    `dead`: removed parts whose files may still lie in the store, and when they were removed ("": they are doomed)."""

    position: int = 0
    entry_id: str = ""
    tables: Mapping[str, Table] = field(default_factory=dict)
    guards: Mapping[tuple[str, str], Guard] = field(default_factory=dict)
    ledger: tuple[tuple[int, Mapping[str, Any]], ...] = ()
    erasures: tuple[Mapping[str, Any], ...] = ()
    parts: Mapping[str, Part] = field(default_factory=dict)
    dead: Mapping[str, tuple[Part, str]] = field(default_factory=dict)

    def with_entry(self, entry: Entry) -> State:
        """The state after the next commit."""
        position = self.position + 1
        parts, dead = dict(self.parts), dict(self.dead)
        for name in entry.removed:
            if name in parts:
                dead[name] = (parts.pop(name), entry.at)
        dead |= {name: (dead[name][0], "") for name in entry.doomed if name in dead}
        parts |= {part.id: part for part in entry.added}
        for name in entry.dropped:
            dead.pop(name, None)
        kept = [(at, row) for at, row in self.ledger if at > entry.in_parts]
        return State(
            position,
            entry.id,
            {**self.tables, **entry.tables},
            {**self.guards, **{(g.table, g.shard): g for g in entry.guards}},
            (*kept, *((position, row) for row in entry.ledger)),
            (*self.erasures, *entry.erasures),
            parts,
            dead,
        )

    def readable(self, part: str) -> bool:
        """Whether the part's files are still there for those who began to read them when it was committed."""
        return part in self.parts or (part in self.dead and self.dead[part][1] != "")

    def positions(self) -> dict[str, int]:
        """Each table's newest ledger position."""
        return {table: int(g.last) for (table, shard), g in self.guards.items() if shard == LOADS}

    def parts_of(self, table: str) -> tuple[Part, ...]:
        """The table's committed parts."""
        return tuple(part for part in self.parts.values() if part.table == table)

    def table(self, name: str) -> Table | None:
        """The table or book called `name`, where it is kept as parts."""
        if name in BOOK_TABLES:
            return table_of(name, BOOK_TABLES[name])
        return self.tables.get(name)

    def to_json(self) -> bytes:
        return _dump(
            {
                **{name: getattr(self, name) for name in ("position", "entry_id", "ledger", "erasures")},
                "tables": {name: asdict(table) for name, table in self.tables.items()},
                "guards": [asdict(guard) for guard in self.guards.values()],
                "parts": [asdict(part) for part in self.parts.values()],
                "dead": [(asdict(part), at) for part, at in self.dead.values()],
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> State:
        found = json.loads(data)
        guards = [Guard(**row) for row in found["guards"]]
        dead = [(Part(**row), at) for row, at in found["dead"]]
        return cls(
            found["position"],
            found["entry_id"],
            _tables(found["tables"]),
            {(guard.table, guard.shard): guard for guard in guards},
            tuple((at, row) for at, row in found["ledger"]),
            tuple(found["erasures"]),
            {row["id"]: Part(**row) for row in found["parts"]},
            {part.id: (part, at) for part, at in dead},
        )


def table_of(name: str, columns: Iterable[tuple[str, str]]) -> Table:
    """A table whose files have all its columns."""
    whole = tuple(columns)
    return Table(whole, {folder_of(name, whole): whole})


def with_folder(table: Table, folder: str, columns: Columns) -> Table:
    """The table with one more folder of files."""
    return replace(table, folders={**table.folders, folder: columns})


def folder_of(name: str, columns: Columns) -> str:
    """Name of the folder of a table's files that have these columns: a content id."""
    digest = hashlib.sha256(_dump([name, sorted(columns)])).hexdigest()[:12]
    return f"{re.sub('[^A-Za-z0-9_]', '_', name)[:40]}-{digest}"


def _tables(data: Mapping[str, Any]) -> dict[str, Table]:
    return {
        name: Table(_columns(table["columns"]), {folder: _columns(found) for folder, found in table["folders"].items()})
        for name, table in data.items()
    }


def _columns(data: Iterable[Iterable[str]]) -> Columns:
    return tuple((name, kind) for name, kind in data)


def _dump(data: Any) -> bytes:
    """One line of JSON; times in UTC."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, default=_plain)
    return text.encode() + b"\n"


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    raise TypeError(f"no JSON: {value!r}")
