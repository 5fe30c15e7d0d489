"""Reading: one statement that cannot write, cancelled in time; and unloads, all at one snapshot."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.ducklake_errors import mapped, query_error
from mlplatform.core.loads.snapshot import Part
from mlplatform.core.sql import literal
from mlplatform.errors import DataError, PlatformError, TimedOutError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Unloaded

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

PART_BYTES = 256 * 1024 * 1024
_UPKEEP = re.compile(r"\bducklake_(?!table_|snapshots|current_|list_|table)\w+|\bpostgres_\w+(?=\s*\()", re.I)


def run_query(
    engine: DuckLakeEngine, sql: str, parameters: Sequence[Any], *, at: str | None, timeout_s: float | None
) -> pa.Table:
    """See `ports.warehouse.Warehouse.query`."""
    import duckdb

    reader = engine.reader(at)
    _check_read_only(sql)
    with _deadline(reader, timeout_s):
        try:
            return reader.execute(sql, list(parameters)).to_arrow_table()
        except duckdb.InterruptException as error:
            raise TimedOutError(
                f"The query took longer than {timeout_s:g} s and was cancelled.",
                next_step="Narrow it, or give it more time.",
            ) from error
        except duckdb.Error as error:
            raise _told(reader, error, sql, masked=engine.masked) from (None if engine.masked else error)


def run_unload(
    engine: DuckLakeEngine,
    queries: Mapping[str, str],
    store: ObjectStore,
    *,
    format: Literal["parquet", "csv"],  # noqa: A002
    at: str | None,
) -> dict[str, Unloaded]:
    """See `ports.warehouse.Warehouse.unload`. A read-only transaction holds the snapshot while other processes commit."""
    import duckdb

    for sql in queries.values():
        _check_read_only(sql)
    reader = engine.reader(at)
    with TemporaryDirectory(dir=engine.scratch) as scratch, mapped("unload", masked=engine.masked):
        reader.execute("BEGIN TRANSACTION READ ONLY")
        try:
            version = at or _scalar(reader, "SELECT id FROM w.current_snapshot()")
            # Where every table is loaded by others, nobody made the books.
            positions = _positions(reader) if "_ledger" in _tables(reader) else {}
            return {
                prefix: Unloaded(
                    tuple(
                        _parts(reader, sql, prefix, store, Path(scratch) / str(number), format, masked=engine.masked)
                    ),
                    positions,
                    version,
                )
                for number, (prefix, sql) in enumerate(queries.items())
            }
        finally:
            with suppress(duckdb.Error):
                reader.execute("ROLLBACK")


def _positions(reader: duckdb.DuckDBPyConnection) -> dict[str, int]:
    found = reader.execute("SELECT table_name, max(position) FROM _ledger GROUP BY table_name").fetchall()
    return {str(table): int(newest) for table, newest in found}


def _parts(
    reader: duckdb.DuckDBPyConnection,
    sql: str,
    prefix: str,
    store: ObjectStore,
    folder: Path,
    format: Literal["parquet", "csv"],  # noqa: A002
    *,
    masked: bool,
) -> Iterator[Part]:
    import duckdb

    folder.mkdir()
    options = "FORMAT parquet" if format == "parquet" else "FORMAT csv, HEADER true"
    try:
        reader.execute(
            f"COPY ({sql.rstrip().rstrip(';')}\n) TO {literal(str(folder))} "
            f"({options}, FILE_SIZE_BYTES {PART_BYTES}, RETURN_FILES true, WRITE_EMPTY_FILE true)"
        )
    except duckdb.Error as error:
        # What failed has ended the transaction, and what is there can only be asked for in another.
        with suppress(duckdb.Error):
            reader.execute("ROLLBACK")
            reader.execute("BEGIN TRANSACTION READ ONLY")
        raise _told(reader, error, sql, masked=masked) from (None if masked else error)
    files = sorted(folder.iterdir(), key=lambda file: (len(file.name), file.name))
    for number, file in enumerate(files):
        key = f"{prefix.rstrip('/')}/part-{number:05d}.{format}"
        rows = _rows(reader, file, format)
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        size = file.stat().st_size
        store.put(key, file)
        file.unlink()
        yield Part(key, rows, size, digest)


def _told(reader: duckdb.DuckDBPyConnection, error: Exception, sql: str, *, masked: bool) -> PlatformError:
    """The query's error with what is there, unless the catalogue is what failed."""
    import duckdb

    tables: list[str] = []
    columns: list[str] = []
    with suppress(duckdb.Error):
        tables, columns = _tables(reader), _columns(reader, sql)
    return query_error(error, tables, columns, masked=masked)


def _rows(reader: duckdb.DuckDBPyConnection, file: Path, format: str) -> int:  # noqa: A002
    if format == "parquet":
        return int(_scalar(reader, f"SELECT count(*) FROM read_parquet({literal(str(file))})"))
    return int(
        _scalar(
            reader,
            f"SELECT count(*) FROM read_csv({literal(str(file))}, header = true, auto_detect = false, delim = ',', "
            "quote = '\"', escape = '\"', columns = {'c': 'VARCHAR'}, null_padding = true, strict_mode = false)",
        )
    )


def _scalar(reader: duckdb.DuckDBPyConnection, sql: str) -> str:
    row = reader.execute(sql).fetchone()
    return str(row[0]) if row else ""


def _check_read_only(sql: str) -> None:
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise DataError(f"The query is no SQL: {error}") from error
    if len(statements) != 1:
        raise DataError(f"Expected one statement, found {len(statements)}.", next_step="Send them one by one.")
    kind = statements[0].type
    if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise DataError(
            f"A query only reads; found a statement of type {kind.name}.", next_step="Rows change by loading objects."
        )
    upkeep = _UPKEEP.search(sql)
    if upkeep is not None:
        raise DataError(f"A query only reads; '{upkeep[0]}' does upkeep.", next_step="Use the maintenance station.")


@contextmanager
def _deadline(connection: duckdb.DuckDBPyConnection, timeout_s: float | None) -> Iterator[None]:
    """Cancels what runs on `connection` after `timeout_s`."""
    if timeout_s is None:
        yield
        return
    timer = threading.Timer(timeout_s, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _tables(reader: duckdb.DuckDBPyConnection) -> list[str]:
    rows = reader.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() ORDER BY table_name"
    ).fetchall()
    return [row[0] for row in rows]


def _columns(reader: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """Columns of the tables whose names stand in `sql`."""
    rows = reader.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = current_database() "
        "ORDER BY table_name, column_index"
    ).fetchall()
    words = set(re.findall(r"\w+", sql))
    return [column for table, column in rows if table in words]
