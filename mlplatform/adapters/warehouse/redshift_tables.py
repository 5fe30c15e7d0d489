"""Redshift tables as a schema wants them: made, given new columns, or widened; and those that keep the books."""

from __future__ import annotations

from mlplatform.adapters.warehouse.redshift_connection import RedshiftConnection
from mlplatform.adapters.warehouse.redshift_sql import create_sql, sql_type
from mlplatform.core.loads.guards import LOADS
from mlplatform.core.sql import identifier
from mlplatform.core.tables import evolution
from mlplatform.core.tables.books import BOOKS
from mlplatform.core.tables.schema import PROVENANCE, Column, TableSchema

PROVENANCE_TYPES = dict(zip(PROVENANCE, ("VARCHAR(64)", "VARCHAR(4096)", "VARCHAR(256)", "TIMESTAMP"), strict=True))

_LOGICAL = {
    "character varying": "varchar",
    "text": "varchar",
    "bigint": "bigint",
    "integer": "integer",
    "smallint": "smallint",
    "double precision": "double",
    "real": "real",
    "boolean": "boolean",
    "date": "date",
    "timestamp without time zone": "timestamp",
    "binary varying": "blob",
}


class RedshiftTables:
    """The tables of one schema."""

    def __init__(self, connection: RedshiftConnection, schema: str) -> None:
        self._connection = connection
        self.schema = schema

    def name(self, table: str) -> str:
        """A table's qualified name as SQL."""
        return f"{identifier(self.schema)}.{identifier(table)}"

    def columns(self, table: str) -> dict[str, str]:
        """The table's columns and their logical types (or Redshift's, where there is none); empty where there is no table."""
        rows = self._connection.rows(
            "SELECT column_name, data_type, numeric_precision, numeric_scale FROM svv_columns "
            "WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position",
            [self.schema, table],
        )
        return {name: _logical(kind, precision, scale) for name, kind, precision, scale in rows}

    def names(self) -> list[str]:
        """Every table of the schema."""
        rows = self._connection.rows(
            "SELECT DISTINCT table_name FROM svv_columns WHERE table_schema = ? ORDER BY table_name", [self.schema]
        )
        return [row[0] for row in rows]

    def lock_books(self) -> None:
        """Waits until no other transaction changes the schema's books. First thing in a transaction: the snapshot that
        it reads is then taken behind the lock, so that what is read is what the transaction before left."""
        self._connection.execute(f"LOCK {self.name('_guards')}")

    def create(self, schema: TableSchema) -> None:
        """See `ports.warehouse.Warehouse.create`."""
        found = self.columns(schema.name)
        if found and not any(changes(schema, found)):
            return
        self._create_books()
        with self._connection.transaction():
            self.lock_books()
            found = self.columns(schema.name)
            if not found:
                self._create(schema)
            new, wider = changes(schema, found) if found else ([], [])
            for column in new:
                self._add(schema.name, column.name, column.type)
            for column in wider:
                self._widen(schema.name, column)

    def _create_books(self) -> None:
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(self.schema)}")
        for name, columns in BOOKS.items():
            kinds = [(column, sql_type(kind)) for column, kind in columns]
            self._connection.execute(create_sql(self.name(name), kinds))

    def _create(self, schema: TableSchema) -> None:
        columns = [(c.name, sql_type(c.type)) for c in schema.columns] + list(PROVENANCE_TYPES.items())
        self._connection.execute(create_sql(self.name(schema.name), columns))
        self._connection.execute(
            f"INSERT INTO {self.name('_guards')} (table_name, shard, last, epoch) VALUES (?, ?, '0', 0)",
            [schema.name, LOADS],
        )

    def _add(self, table: str, column: str, logical: str) -> None:
        self._connection.execute(f"ALTER TABLE {self.name(table)} ADD COLUMN {identifier(column)} {sql_type(logical)}")

    def _widen(self, table: str, column: Column) -> None:
        """Redshift changes no column's type but a VARCHAR's length: the values move to a new column."""
        name, wider = identifier(column.name), identifier(f"{column.name}__wider")
        self._add(table, f"{column.name}__wider", column.type)
        self._connection.execute(
            f"UPDATE {self.name(table)} SET {wider} = CAST({name} AS {sql_type(column.type)}) WHERE {name} IS NOT NULL"
        )
        self._connection.execute(f"ALTER TABLE {self.name(table)} DROP COLUMN {name}")
        self._connection.execute(f"ALTER TABLE {self.name(table)} RENAME COLUMN {wider} TO {name}")


def changes(schema: TableSchema, found: dict[str, str]) -> tuple[list[Column], list[Column]]:
    """Columns to add to the table, and columns to widen. Raises ConflictError, see `core.tables.evolution.changes`."""
    return evolution.changes(schema, found, same=lambda a, b: sql_type(a) == sql_type(b), widens=_widens)


def _widens(found: str, declared: str) -> bool:
    """Whether every value of type `found` is one of type `declared`."""
    if declared == "varchar":
        return found not in ("super", "blob")
    return evolution.widens_decimal(found, declared) or (found, declared) in {
        ("bigint", "double"),
        ("integer", "double"),
        ("real", "double"),
        ("integer", "bigint"),
        ("smallint", "bigint"),
        ("date", "timestamp"),
    }


def _logical(kind: str, precision: int | None, scale: int | None) -> str:
    if kind.startswith("character varying"):
        return "varchar"
    return f"decimal({precision},{scale})" if kind == "numeric" else _LOGICAL.get(kind, kind)
