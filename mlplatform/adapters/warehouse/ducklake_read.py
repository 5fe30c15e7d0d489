"""Reading: one statement that cannot write, cancelled in time."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.ducklake_errors import query_error
from mlplatform.adapters.warehouse.sql_errors import WRONG_QUERY
from mlplatform.errors import DataError, PlatformError, TimedOutError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_UPKEEP = re.compile(r"\bducklake_(?!table_|snapshots|current_|list_|table)\w+|\bpostgres_\w+(?=\s*\()", re.I)


def run_query(
    engine: DuckLakeEngine, sql: str, parameters: Sequence[Any], *, at: str | None, timeout_s: float | None
) -> pa.Table:
    """See `ports.warehouse.Warehouse.query`."""
    import duckdb

    reader = engine.reader(at)
    check_read_only(sql)
    with _deadline(reader, timeout_s):
        try:
            return reader.execute(sql, list(parameters)).to_arrow_table()
        except duckdb.InterruptException as error:
            raise TimedOutError(
                f"The query took longer than {timeout_s:g} s and was cancelled.",
                next_step="Narrow it, or give it more time.",
            ) from error
        except duckdb.Error as error:
            raise told(reader, error, sql, masked=engine.masked) from (None if engine.masked else error)


def told(reader: duckdb.DuckDBPyConnection, error: Exception, sql: str, *, masked: bool) -> PlatformError:
    """The query's error with what is there, unless the catalogue is what failed."""
    import duckdb

    tables: list[str] = []
    columns: list[str] = []
    with suppress(duckdb.Error):
        tables, columns = tables_of(reader), _columns(reader, sql)
    return query_error(error, tables, columns, masked=masked)


def check_read_only(sql: str) -> None:
    """Raises DataError for what is not one statement that reads."""
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise DataError(f"The query is no SQL: {error}", next_step=WRONG_QUERY) from error
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


def tables_of(reader: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables that `reader` sees, by name."""
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
