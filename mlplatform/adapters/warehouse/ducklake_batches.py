"""Rows as they come: a query's result that is never there whole, over a connection beside the others, so that others go on meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.ducklake_errors import platform_error
from mlplatform.adapters.warehouse.ducklake_read import run_query
from mlplatform.adapters.warehouse.ducklake_server import asked, stop_behind

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 1 << 16


def run_batches(engine: DuckLakeEngine, sql: str, *, at: str | None) -> Iterator[pa.RecordBatch]:
    """See `ports.batches.Batched`."""
    import pyarrow as pa

    statement = sql.rstrip().rstrip(";")
    # Says what is wrong with the statement, and which columns it has.
    none = f"SELECT * FROM (\n{statement}\n) AS q LIMIT 0"
    empty = asked(engine, lambda: run_query(engine, none, (), at=at, timeout_s=None), reads=True)
    connection = engine.apart(at)
    try:
        with _told(engine):
            found = connection.execute(statement).to_arrow_reader(_ROWS)
        any_came = False
        while True:
            with _told(engine):
                batch = next(found, None)
            if batch is None:
                break
            any_came = True
            yield batch
        if not any_came:
            yield pa.RecordBatch.from_pylist([], schema=empty.schema)
    finally:
        # Who stopped listening, or was stopped, waits for no thread of the engine.
        connection.interrupt()
        connection.close()


@contextmanager
def _told(engine: DuckLakeEngine) -> Iterator[None]:
    """Errors as the platform's own; those of a row that comes late are Arrow's."""
    import duckdb
    import pyarrow as pa

    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        raise platform_error(error, "query", masked=engine.masked) from (None if engine.masked else error)
    except RuntimeError as error:
        raise stop_behind(error) from None
