"""Parts: folders of Parquet files that are written once, read by path, and count only when a commit names them."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.hive_connection import HiveConnection
from mlplatform.adapters.warehouse.hive_log import Columns, Part, State, Table
from mlplatform.adapters.warehouse.hive_sql import literal, quoted, sql_type
from mlplatform.core.tables.books import BOOKS
from mlplatform.errors import BugError, UnavailableError
from mlplatform.ports.object_store import ObjectInfo, ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

PART = "mlplatform_part"
"""What the folders of parts are called by; `RESERVED` columns cannot be a table's own."""
NO_PART = "none"
"""A part without rows, in each folder from its first day: it tells Spark the columns."""
PART_OF_PATH = re.compile(rf"/{PART}=([^/]+)/")
_GLOB = re.compile(r"([\\*?\[\]{}])")
_ESCAPED = r"\\\1"
_SUCCESS = "_SUCCESS"
_SEEN_S = 60.0
PATH = "mlplatform_path"
"""Name of the column that tells which file a row is in, where that is asked."""
RESERVED = (PART, PATH)


class HiveParts:
    """The parts of one system: below `prefix` in `store`, read and written by the server."""

    def __init__(self, connection: HiveConnection, store: ObjectStore, prefix: str) -> None:
        self._connection = connection
        self.store = store
        self.prefix = prefix

    def relation(self, state: State, table: str, *, parts: Sequence[Part] | None = None, path: bool = False) -> str:
        """SQL of the table's rows (those of `parts`) as a SELECT of all its columns; books are tables too."""
        if table in ("_guards", "_erasures"):
            return _values(BOOKS[table], _book_rows(state, table))
        found = state.table(table)
        if found is None:
            raise BugError(f"Table '{table}' is in no commit.")
        chosen = state.parts_of(table) if parts is None else parts
        selects = []
        for folder in dict.fromkeys(part.folder for part in chosen):
            ids = [part.id for part in chosen if part.folder == folder]
            selects.append(self._select(found, folder, ids, path=path))
        if table == "_ledger" and parts is None:
            selects.append(_values(found.columns, [row for _, row in state.ledger]))
        if not selects:
            columns = [*found.columns, (PATH, "varchar")] if path else found.columns
            return _values(columns, [])
        return " UNION ALL ".join(selects)

    def _select(self, table: Table, folder: str, ids: list[str], *, path: bool) -> str:
        columns = _columns(table, folder)
        if path:
            columns.append(f"_metadata.file_path AS {PATH}")
        # Spark lists the folder before the braces once.
        glob = f"{self._escaped(folder)}/{{{','.join(f'{PART}={name}' for name in ids)}}}"
        return f"SELECT {', '.join(columns)} FROM parquet.{quoted(glob)}"

    def whole(self, table: Table, folder: str) -> str:
        """SQL of all rows in a folder, committed or not, with the part that each is in (`PART`)."""
        return f"SELECT {', '.join((*_columns(table, folder), PART))} FROM parquet.{quoted(self._escaped(folder))}"

    def texts(self, key: str) -> str:
        """SQL of the lines of all objects below `key`."""
        url = server_url(self.store.url(key.rstrip("/")), self._connection.settings.s3_scheme)
        return f"text.{quoted(_GLOB.sub(_ESCAPED, url))}"

    def begin(self, folder: str, columns: Columns) -> None:
        """Puts the part without rows into the folder."""
        self.store.put(f"{self._key(folder, NO_PART)}rows.parquet", empty_parquet(columns))

    def files_of(self, part: Part) -> str:
        """SQL of a part that may not be committed yet."""
        return f"parquet.{quoted(_GLOB.sub(_ESCAPED, f'{self._url(part.folder)}/{PART}={part.id}'))}"

    def put(self, table: str, folder: str, batch_id: str, file: Path | bytes, rows: int) -> Part:
        """A part of one file, of one batch."""
        part = f"{batch_id}-{secrets.token_hex(4)}"
        info = self.store.put(f"{self._key(folder, part)}rows.parquet", file)
        return Part(part, table, folder, rows, info.size_bytes)

    def write(self, table: str, folder: str, select: str, rows: int, *, batch_id: str = "several") -> Part:
        """A part that the server writes: the rows of `select`, whose columns are those of the folder."""
        part = f"{batch_id}-{secrets.token_hex(4)}"
        self._connection.run(
            f"INSERT OVERWRITE DIRECTORY {literal(f'{self._url(folder)}/{PART}={part}')} USING parquet {select}",
            subject=f"Rows of table '{table}'",
        )
        size_bytes = sum(info.size_bytes for info in written(self.store, self._key(folder, part)))
        return Part(part, table, folder, rows, size_bytes)

    def holding(self, state: State, table: str, where: str, parts: Sequence[Part]) -> dict[str, tuple[int, int]]:
        """Parts with rows that meet the condition (Spark's SQL): how many of them, of how many."""
        if not parts:
            return {}
        found: dict[str, tuple[int, int]] = {}
        rows = self._connection.read(
            f"SELECT {PATH} AS path, count_if({where}) AS hits, count(*) AS total FROM "
            f"({self.relation(state, table, parts=parts, path=True)}) AS r GROUP BY {PATH}"
        )
        for row in rows.to_pylist():
            part = PART_OF_PATH.findall(row["path"])[-1]
            hits, total = found.get(part, (0, 0))
            found[part] = (hits + row["hits"], total + row["total"])
        return {part: counts for part, counts in found.items() if counts[0]}

    def delete(self, parts: Sequence[Part]) -> int:
        """Takes the parts' files out of the store; how many."""
        count = 0
        for part in parts:
            for info in list(self.store.list(self._key(part.folder, part.id))):
                self.store.delete(info.key)
                count += 1
        return count

    def _key(self, folder: str, part: str) -> str:
        return f"{self.prefix}{folder}/{PART}={part}/"

    def _escaped(self, folder: str) -> str:
        return _GLOB.sub(_ESCAPED, self._url(folder))

    def _url(self, folder: str) -> str:
        return server_url(self.store.url(f"{self.prefix}{folder}"), self._connection.settings.s3_scheme)


def server_url(url: str, s3_scheme: str) -> str:
    """Where the server finds what the object store has at `url`."""
    scheme, _, rest = url.rpartition("://")
    if not scheme:
        return f"file://{rest}"
    return f"{s3_scheme if scheme == 's3' else scheme}://{rest}"


def written(store: ObjectStore, prefix: str) -> list[ObjectInfo]:
    """The objects of a folder that the server has just written whole, once the store shows them. Its mark is taken out.

    Raises:
        UnavailableError: the server's mark did not come.
    """
    deadline = time.monotonic() + _SEEN_S
    while store.head(f"{prefix}{_SUCCESS}") is None:
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"Object '{prefix}{_SUCCESS}', with which the server ends what it wrote, did not come in {_SEEN_S:g} s.",
                next_step="See that store and server mean the same place, and that the server sets "
                "mapreduce.fileoutputcommitter.marksuccessfuljobs.",
            )
        time.sleep(0.02)
    store.delete(f"{prefix}{_SUCCESS}")
    below = len(prefix)
    return [i for i in store.list(prefix) if not any(n.startswith("_") for n in i.key[below:].split("/"))]


def _columns(table: Table, folder: str) -> list[str]:
    """SQL of the table's columns from the files of a folder: cast where theirs are others, NULL where they have none."""
    there = dict(table.folders[folder])
    columns = []
    for name, kind in table.columns:
        if name not in there:
            columns.append(f"CAST(NULL AS {sql_type(kind)}) AS {quoted(name)}")
        elif sql_type(there[name]) == sql_type(kind):
            columns.append(quoted(name))
        else:
            columns.append(f"CAST({quoted(name)} AS {sql_type(kind)}) AS {quoted(name)}")
    return columns


def empty_parquet(columns: Columns) -> bytes:
    """A Parquet file of no rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.schema([pa.field(name, _arrow_type(kind)) for name, kind in columns]).empty_table(), sink)
    return bytes(sink.getvalue())


def _arrow_type(logical: str) -> pa.DataType:
    import pyarrow as pa

    if logical.startswith("decimal"):
        precision, scale = (int(number) for number in re.findall(r"\d+", logical))
        return pa.decimal128(precision, scale)
    kinds: dict[str, pa.DataType] = {
        "bigint": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "blob": pa.binary(),
    }
    return kinds.get(logical, pa.string())


def _book_rows(state: State, book: str) -> list[dict[str, Any]]:
    if book == "_erasures":
        return [dict(row) for row in state.erasures]
    return [{"table_name": g.table, "shard": g.shard, "last": g.last, "epoch": g.epoch} for g in state.guards.values()]


def _values(columns: Sequence[tuple[str, str]], rows: Sequence[Any]) -> str:
    """SQL of rows that are written in."""
    if not rows:
        return f"SELECT {', '.join(f'CAST(NULL AS {sql_type(k)}) AS {quoted(n)}' for n, k in columns)} WHERE FALSE"
    texts = ", ".join(f"({', '.join(_text(row[name]) for name, _ in columns)})" for row in rows)
    names = ", ".join(f"c{number}" for number in range(len(columns)))
    typed = (f"CAST(c{number} AS {sql_type(k)}) AS {quoted(n)}" for number, (n, k) in enumerate(columns))
    return f"SELECT {', '.join(typed)} FROM VALUES {texts} AS v({names})"


def _text(value: Any) -> str:
    return "NULL" if value is None else literal(str(value))
