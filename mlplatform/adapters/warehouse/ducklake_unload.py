"""Unloads: each query's rows as objects in the store, all read at one snapshot, in the query's order.

DuckDB that is to write several files writes them from several threads, and rows out of order with that: the same rows
would be other bytes each time. So a result is written as one file first, and cut afterwards where it is too large.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.ducklake_errors import mapped
from mlplatform.adapters.warehouse.ducklake_parts import cut_csv, cut_parquet, fetched
from mlplatform.adapters.warehouse.ducklake_read import check_read_only, tables_of, told
from mlplatform.core.loads.snapshot import Part
from mlplatform.core.sql import literal
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Unloaded

if TYPE_CHECKING:
    import duckdb

Format = Literal["parquet", "csv"]

PART_BYTES = 256 * 1024 * 1024
"""About the size of a part; none is much larger."""


def run_unload(
    engine: DuckLakeEngine,
    queries: Mapping[str, str],
    store: ObjectStore,
    *,
    format: Format,  # noqa: A002
    at: str | None,
) -> dict[str, Unloaded]:
    """See `ports.warehouse.Warehouse.unload`. A read-only transaction holds the snapshot while other processes commit."""
    import duckdb

    for sql in queries.values():
        check_read_only(sql)
    reader = engine.reader(at)
    with TemporaryDirectory(dir=engine.scratch) as scratch, mapped("unload", masked=engine.masked):
        reader.execute("BEGIN TRANSACTION READ ONLY")
        try:
            version = at or str(fetched(reader, "SELECT id FROM w.current_snapshot()"))
            # Where every table is loaded by others, nobody made the books.
            positions = _positions(reader) if "_ledger" in tables_of(reader) else {}
            unloaded = {}
            for prefix, sql in queries.items():
                with TemporaryDirectory(dir=scratch) as folder:
                    whole = Path(folder) / "whole"
                    rows = _write(reader, sql, whole, format, masked=engine.masked)
                    parts = tuple(_store(store, prefix, format, _files(whole, rows, format)))
                unloaded[prefix] = Unloaded(parts, positions, version)
            return unloaded
        finally:
            with suppress(duckdb.Error):
                reader.execute("ROLLBACK")


def _positions(reader: duckdb.DuckDBPyConnection) -> dict[str, int]:
    found = reader.execute("SELECT table_name, max(position) FROM _ledger GROUP BY table_name").fetchall()
    return {str(table): int(newest) for table, newest in found}


def _write(reader: duckdb.DuckDBPyConnection, sql: str, file: Path, format: Format, *, masked: bool) -> int:  # noqa: A002
    """The query's rows as one file; how many."""
    import duckdb

    options = "FORMAT parquet" if format == "parquet" else "FORMAT csv, HEADER true"
    try:
        return fetched(reader, f"COPY ({sql.rstrip().rstrip(';')}\n) TO {literal(str(file))} ({options})")
    except duckdb.Error as error:
        # What failed has ended the transaction, and what is there can only be asked for in another.
        with suppress(duckdb.Error):
            reader.execute("ROLLBACK")
            reader.execute("BEGIN TRANSACTION READ ONLY")
        raise told(reader, error, sql, masked=masked) from (None if masked else error)


def _store(store: ObjectStore, prefix: str, format: Format, files: Iterator[tuple[Path, int]]) -> Iterator[Part]:  # noqa: A002
    for number, (file, rows) in enumerate(files):
        key = f"{prefix.rstrip('/')}/part-{number:05d}.{format}"
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        size_bytes = file.stat().st_size
        store.put(key, file)
        file.unlink()
        yield Part(key, rows, size_bytes, digest)


def _files(whole: Path, rows: int, format: Format) -> Iterator[tuple[Path, int]]:  # noqa: A002
    """The file, or what it is cut into, in order; each with its rows."""
    if whole.stat().st_size <= PART_BYTES:
        yield whole, rows
    elif format == "csv":
        yield from cut_csv(whole, PART_BYTES)
    else:
        yield from cut_parquet(whole, PART_BYTES)
