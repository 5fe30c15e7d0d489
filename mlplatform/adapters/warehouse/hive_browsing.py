"""A look around in Hive: its databases, and their tables with their columns."""

from __future__ import annotations

from mlplatform.adapters.warehouse.hive_connection import HiveConnection
from mlplatform.adapters.warehouse.hive_log import State
from mlplatform.adapters.warehouse.hive_sql import quoted
from mlplatform.adapters.warehouse.sql_errors import no_database
from mlplatform.core.tables.books import BOOKS

_LOGICAL = {"string": "varchar"}


def databases(connection: HiveConnection, own: str) -> list[str]:
    """Every database of the server; the system's own is one, whether views lie there or not."""
    return sorted({own, *_databases(connection)})


def tables(connection: HiveConnection, state: State, own: str, database: str | None) -> dict[str, dict[str, str]]:
    """Tables of a database, by name; those of the system are what its log of commits says. Raises NotFoundError."""
    mine: dict[str, dict[str, str]] = {}
    if database in (None, own):
        mine = {name: dict(table.columns) for name, table in state.tables.items()}
        mine |= {name: dict(columns) for name, columns in BOOKS.items()}
    database = database or own
    there = _databases(connection)
    if database not in there:
        if mine:
            return mine
        raise no_database(database, sorted({own, *there}))
    names = map(str, connection.read(f"SHOW TABLES IN {quoted(database)}").column("tableName").to_pylist())
    others = {name: _columns(connection, database, name) for name in names if name not in mine}
    return dict(sorted({**mine, **others}.items()))


def _databases(connection: HiveConnection) -> set[str]:
    return set(map(str, connection.read("SHOW DATABASES").column(0).to_pylist()))


def _columns(connection: HiveConnection, database: str, table: str) -> dict[str, str]:
    described = connection.read(f"DESCRIBE {quoted(database)}.{quoted(table)}").to_pylist()
    columns: dict[str, str] = {}
    for row in described:
        # Behind a blank or a heading stands how the table is partitioned.
        if not row["col_name"] or row["col_name"].startswith("#"):
            break
        columns[row["col_name"]] = _LOGICAL.get(row["data_type"], row["data_type"])
    return columns
