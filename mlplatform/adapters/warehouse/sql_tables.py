"""Tables of an SQL warehouse as a schema wants them: made, given new columns, or widened; and those that keep the books."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Self

from mlplatform.adapters.warehouse.sql_dialect import SqlDialect
from mlplatform.adapters.warehouse.sql_session import SqlSession
from mlplatform.core.loads.guards import LOADS
from mlplatform.core.tables import evolution
from mlplatform.core.tables.books import BOOKS
from mlplatform.core.tables.schema import Column, TableSchema

WIDENED = frozenset(
    {
        ("bigint", "double"),
        ("integer", "double"),
        ("real", "double"),
        ("integer", "bigint"),
        ("smallint", "bigint"),
        ("date", "timestamp"),
    }
)
"""(found, declared): every value of the first is one of the second. Any scalar becomes varchar besides, decimals by their size."""

WIDER = "__wider"
"""Behind the name of a column whose values move to one of a wider type."""


class SqlTables(ABC):
    """The tables of one schema."""

    def __init__(self, session: SqlSession, dialect: SqlDialect, schema: str) -> None:
        self._session = session
        self.dialect = dialect
        self.schema = schema

    @abstractmethod
    def columns(self, table: str) -> dict[str, str]:
        """The table's columns and their logical types (or the warehouse's, where there is none); empty where there is no
        table."""

    @abstractmethod
    def names(self) -> list[str]:
        """Every table of the schema."""

    def databases(self) -> list[str]:
        """Every schema that the session may look into."""
        return [self.schema]

    def of(self, schema: str) -> Self:
        """The tables of another schema."""
        other = copy(self)
        other.schema = schema
        return other

    @abstractmethod
    def lock_books(self) -> None:
        """Waits until no other transaction changes the schema's books. First thing in a transaction: what is read behind
        the lock is what the transaction before left."""

    def name(self, table: str) -> str:
        """A table's qualified name as SQL."""
        return f"{self.dialect.identifier(self.schema)}.{self.dialect.identifier(table)}"

    def temporary(self, table: str) -> str:
        """The name as SQL of a table that is the session's own, and ends with it."""
        return self.dialect.identifier(table)

    def create(self, schema: TableSchema) -> None:
        """See `ports.warehouse.Warehouse.create`."""
        found = self.columns(schema.name)
        if found and not any(self.changes(schema, found)):
            return
        self._create_books()
        with self._alone():
            found = self._mended(schema)
            if not found:
                self._create(schema)
            new, wider = self.changes(schema, found) if found else ([], [])
            for column in new:
                self._add(schema.name, column.name, column.type)
            for column in wider:
                self._widen(schema.name, column)

    def changes(self, schema: TableSchema, found: dict[str, str]) -> tuple[list[Column], list[Column]]:
        """Columns to add to the table, and columns to widen. Raises ConflictError, see `core.tables.evolution.changes`."""
        kind = self.dialect.sql_type
        return evolution.changes(schema, found, same=lambda a, b: kind(a) == kind(b), widens=_widens)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process changes tables or books meanwhile."""
        with self._session.transaction():
            self.lock_books()
            yield

    @abstractmethod
    def _check_alone(self) -> None:
        """That nobody came in between since `_alone` began. Raises PlatformError."""

    def _mended(self, schema: TableSchema) -> dict[str, str]:
        """The table's columns, after what a change that broke off left is put right, where changes can break off."""
        return self.columns(schema.name)

    def _create_books(self) -> None:
        self._session.execute(f"CREATE SCHEMA IF NOT EXISTS {self.dialect.identifier(self.schema)}")
        for name, columns in BOOKS.items():
            kinds = [(column, self.dialect.sql_type(kind)) for column, kind in columns]
            self._session.execute(self.dialect.create_sql(self.name(name), kinds))

    def _create(self, schema: TableSchema) -> None:
        self._make(schema)
        self._session.execute(
            f"INSERT INTO {self.name('_guards')} (table_name, shard, last, epoch) VALUES (?, ?, '0', 0)",
            [schema.name, LOADS],
        )

    def _make(self, schema: TableSchema) -> None:
        columns = [(c.name, self.dialect.sql_type(c.type)) for c in schema.columns]
        columns += self.dialect.provenance_types.items()
        self._session.execute(self.dialect.create_sql(self.name(schema.name), columns))

    def _add(self, table: str, column: str, logical: str) -> None:
        name, kind = self.dialect.identifier(column), self.dialect.sql_type(logical)
        self._session.execute(f"ALTER TABLE {self.name(table)} ADD COLUMN {name} {kind}")

    def _widen(self, table: str, column: Column) -> None:
        """The values move to a new column: what types a column may be changed to in place differs, and is little."""
        name, wider = self.dialect.identifier(column.name), self.dialect.identifier(column.name + WIDER)
        kind = self.dialect.sql_type(column.type)
        self._add(table, column.name + WIDER, column.type)
        self._session.execute(
            f"UPDATE {self.name(table)} SET {wider} = CAST({name} AS {kind}) WHERE {name} IS NOT NULL"
        )
        self._check_alone()
        self._session.execute(f"ALTER TABLE {self.name(table)} DROP COLUMN {name}")
        self._session.execute(f"ALTER TABLE {self.name(table)} RENAME COLUMN {wider} TO {name}")


def _widens(found: str, declared: str) -> bool:
    """Whether every value of type `found` is one of type `declared`."""
    if declared == "varchar":
        return found not in ("super", "blob", "variant", "object", "array")
    return evolution.widens_decimal(found, declared) or (found, declared) in WIDENED
