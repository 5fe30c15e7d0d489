"""Tables as a schema wants them: made, given new columns, or widened; and the three tables that keep the books."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlplatform.adapters.warehouse.ducklake_stage import sql_type
from mlplatform.core.loads.fits import literal, quoted
from mlplatform.core.tables.books import BOOKS
from mlplatform.core.tables.schema import PROVENANCE, Column, TableSchema
from mlplatform.errors import ConflictError

if TYPE_CHECKING:
    import duckdb

LOADS = ""
"""Shard of the guard row that counts a table's loads: a load sets it, so that no two commit from the same state."""

_PROVENANCE_TYPES = dict(zip(PROVENANCE, ("VARCHAR", "VARCHAR", "VARCHAR", "TIMESTAMP"), strict=True))
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """The table's columns and their types, in order; empty where there is no such table."""
    rows = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = 'w' AND schema_name = 'main' AND table_name = ? ORDER BY column_index",
        [table],
    ).fetchall()
    return dict(rows)


def create_books(connection: duckdb.DuckDBPyConnection) -> None:
    """The ledger, the guards and the quarantine, where they are missing."""
    for name, columns in BOOKS.items():
        declared = ", ".join(f"{quoted(column)} {kind.upper()}" for column, kind in columns)
        connection.execute(f"CREATE TABLE IF NOT EXISTS w.main.{name} ({declared})")


def create_table(connection: duckdb.DuckDBPyConnection, schema: TableSchema) -> None:
    """The table as `schema` declares it, with its provenance columns and its counter of loads."""
    declared = [f"{quoted(c.name)} {sql_type(c)}" for c in schema.columns]
    declared += [f"{name} {kind}" for name, kind in _PROVENANCE_TYPES.items()]
    connection.execute(f"CREATE TABLE w.main.{quoted(schema.name)} ({', '.join(declared)})")
    connection.execute("INSERT INTO w.main._guards VALUES (?, ?, '0', 0)", [schema.name, LOADS])


def changes(schema: TableSchema, found: dict[str, str]) -> tuple[list[Column], list[Column]]:
    """Columns to add to the table, and columns to widen.

    Raises:
        ConflictError: a column is of a type that cannot become the declared one; names both.
    """
    new, wider = [], []
    for column in schema.columns:
        kind = found.get(column.name)
        if kind is None:
            new.append(column)
        elif not same_type(kind, sql_type(column)):
            if not widens(kind, sql_type(column)):
                raise ConflictError(
                    f"Column '{column.name}' of table '{schema.name}' is {kind.lower()}, and cannot become {column.type}.",
                    next_step="Give the new column another name, or load into a new table.",
                )
            wider.append(column)
    return new, wider


def same_type(found: str, declared: str) -> bool:
    return found.replace(" ", "") == declared.replace(" ", "")


def widens(found: str, declared: str) -> bool:
    """Whether every value of type `found` is one of type `declared`."""
    if declared == "VARCHAR":
        return True
    if declared == "DOUBLE":
        return found in ("BIGINT", "INTEGER", "FLOAT")
    if declared == "TIMESTAMP":
        return found == "DATE"
    old, new = _DECIMAL.fullmatch(found), _DECIMAL.fullmatch(declared)
    if new is None:
        return False
    whole, scale = int(new[1]) - int(new[2]), int(new[2])
    if old is not None:
        return whole >= int(old[1]) - int(old[2]) and scale >= int(old[2])
    return found == "BIGINT" and whole >= 19


def recast(found: dict[str, str], wider: list[Column]) -> str:
    """SQL of the table's columns with the wider ones cast."""
    widened = {c.name: sql_type(c) for c in wider}
    return ", ".join(
        f"CAST({quoted(name)} AS {widened[name]}) AS {quoted(name)}" if name in widened else quoted(name)
        for name in found
    )


def data_folder(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """The table's folder under the data path; files in it are noted by relative path, so that the home can move."""
    row = connection.execute(
        "SELECT t.path, s.path FROM __ducklake_metadata_w.ducklake_table t "
        "JOIN __ducklake_metadata_w.ducklake_schema s USING (schema_id) "
        f"WHERE t.table_name = {literal(table)} AND t.end_snapshot IS NULL AND s.schema_name = 'main'"
    ).fetchone()
    return f"{row[1]}{row[0]}" if row else f"main/{table}/"
