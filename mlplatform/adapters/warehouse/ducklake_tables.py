"""Tables as a schema wants them: made, given new columns, or widened; and those that keep the books."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlplatform.adapters.warehouse.staging.job import sql_type
from mlplatform.core.loads.guards import LOADS
from mlplatform.core.sql import identifier, literal
from mlplatform.core.tables import evolution
from mlplatform.core.tables.books import BOOKS
from mlplatform.core.tables.schema import PROVENANCE, Column, TableSchema

if TYPE_CHECKING:
    import duckdb

_PROVENANCE_TYPES = dict(zip(PROVENANCE, ("VARCHAR", "VARCHAR", "VARCHAR", "TIMESTAMP"), strict=True))


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """The table's columns and their types, in order; empty where there is no such table."""
    rows = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = 'w' AND schema_name = 'main' AND table_name = ? ORDER BY column_index",
        [table],
    ).fetchall()
    return dict(rows)


def table_names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Every table, the books too."""
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'w' AND schema_name = 'main'"
    ).fetchall()
    return {row[0] for row in rows}


def create_books(connection: duckdb.DuckDBPyConnection) -> None:
    """The books, where they are missing."""
    for name, columns in BOOKS.items():
        declared = ", ".join(f"{identifier(column)} {kind.upper()}" for column, kind in columns)
        connection.execute(f"CREATE TABLE IF NOT EXISTS w.main.{name} ({declared})")


def create_table(connection: duckdb.DuckDBPyConnection, schema: TableSchema) -> None:
    """The table as `schema` declares it, with its provenance columns and its counter of loads."""
    declared = [f"{identifier(c.name)} {sql_type(c)}" for c in schema.columns]
    declared += [f"{name} {kind}" for name, kind in _PROVENANCE_TYPES.items()]
    connection.execute(f"CREATE TABLE w.main.{identifier(schema.name)} ({', '.join(declared)})")
    connection.execute("INSERT INTO w.main._guards VALUES (?, ?, '0', 0)", [schema.name, LOADS])


def changes(schema: TableSchema, found: dict[str, str]) -> tuple[list[Column], list[Column]]:
    """Columns to add to the table, and columns to widen. Raises ConflictError, see `core.tables.evolution.changes`."""
    return evolution.changes(
        schema, {name: logical_type(kind) for name, kind in found.items()}, same=str.__eq__, widens=_widens
    )


def logical_type(kind: str) -> str:
    """The logical type that DuckDB's is."""
    return kind.lower().replace(" ", "")


def _widens(found: str, declared: str) -> bool:
    """Whether every value of type `found` is one of type `declared`."""
    if declared == "varchar":
        return True
    if declared == "double":
        return found in ("bigint", "integer", "float")
    if declared == "timestamp":
        return found == "date"
    return evolution.widens_decimal(found, declared)


def recast(found: dict[str, str], wider: list[Column]) -> str:
    """SQL of the table's columns with the wider ones cast."""
    widened = {c.name: sql_type(c) for c in wider}
    return ", ".join(
        f"CAST({identifier(name)} AS {widened[name]}) AS {identifier(name)}" if name in widened else identifier(name)
        for name in found
    )


def data_folder(connection: duckdb.DuckDBPyConnection, metadata: str, table: str) -> str:
    """The table's folder under the data path; files in it are noted by relative path, so that the home can move."""
    row = connection.execute(
        f"SELECT t.path, s.path FROM {metadata}.ducklake_table t JOIN {metadata}.ducklake_schema s USING (schema_id) "
        f"WHERE t.table_name = {literal(table)} AND t.end_snapshot IS NULL AND s.schema_name = 'main'"
    ).fetchone()
    return f"{row[1]}{row[0]}" if row else f"main/{table}/"
