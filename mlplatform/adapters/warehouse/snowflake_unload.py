"""Unloads: each query's rows as objects in the store, read at one state of the platform's tables, a batch at a time.

Snowflake works all results out and keeps them while the books are locked; the rows are fetched behind that, and are never
all in this process's memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.snowflake_connection import SnowflakeConnection
from mlplatform.adapters.warehouse.snowflake_results import arrow_batches, arrow_schema
from mlplatform.adapters.warehouse.snowflake_tables import SnowflakeTables
from mlplatform.adapters.warehouse.sql_books import SqlBooks
from mlplatform.core.loads.snapshot import Part
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Unloaded

if TYPE_CHECKING:
    import pyarrow as pa

PART_ROWS = 5_000_000
"""Most rows of one part."""

_CHUNK_BYTES = 4 * 1024 * 1024


def run_unload(
    connection: SnowflakeConnection,
    tables: SnowflakeTables,
    books: SqlBooks,
    selects: Mapping[str, str],
    store: ObjectStore,
    *,
    csv: bool,
) -> dict[str, Unloaded]:
    """`selects`: key prefix → statement in Snowflake's dialect."""
    there = tables.has_books()
    with connection.transaction():
        if there:
            tables.lock_books()
        positions = books.positions()
        results = {prefix: connection.execute(sql, subject=f"Unload to '{prefix}'") for prefix, sql in selects.items()}
    unloaded = {}
    for prefix, cursor in results.items():
        with connection.mapped(f"Unload to '{prefix}'"):
            unloaded[prefix] = Unloaded(tuple(_parts(prefix, cursor, store, csv=csv)), positions, None)
    return unloaded


def _parts(prefix: str, cursor: Any, store: ObjectStore, *, csv: bool) -> Iterator[Part]:
    suffix = "csv" if csv else "parquet"
    with TemporaryDirectory(prefix="warehouse-unload-") as folder:
        for number, (path, rows) in enumerate(_files(Path(folder), cursor, csv=csv)):
            key = f"{prefix.rstrip('/')}/part-{number:05d}.{suffix}"
            store.put(key, path)
            yield Part(key, rows, path.stat().st_size, _sha256(path))
            path.unlink()


def _files(folder: Path, cursor: Any, *, csv: bool) -> Iterator[tuple[Path, int]]:
    """Files of at most `PART_ROWS` rows each, and how many; one without rows where there are none."""
    schema, rows, path = arrow_schema(cursor), 0, folder / "part"
    writer = _writer(path, schema, csv=csv)
    try:
        for batch in arrow_batches(cursor):
            start = 0
            while start < batch.num_rows:
                if rows == PART_ROWS:
                    writer.close()
                    yield path, rows
                    writer, rows = _writer(path, schema, csv=csv), 0
                piece = batch.slice(start, PART_ROWS - rows)
                writer.write_table(piece)
                rows, start = rows + piece.num_rows, start + piece.num_rows
    finally:
        writer.close()
    yield path, rows


def _writer(path: Path, schema: pa.Schema, *, csv: bool) -> Any:
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    return pc.CSVWriter(path, schema) if csv else pq.ParquetWriter(path, schema)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
