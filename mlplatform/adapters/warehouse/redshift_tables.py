"""The tables of a Redshift schema: what is there, and the lock on the books."""

from __future__ import annotations

from mlplatform.adapters.warehouse.sql_tables import SqlTables

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


class RedshiftTables(SqlTables):
    """Types of columns stay as they are but for a VARCHAR's length: a wider one is a new column, in the same transaction."""

    def columns(self, table: str) -> dict[str, str]:
        rows = self._session.rows(
            "SELECT column_name, data_type, numeric_precision, numeric_scale FROM svv_columns "
            "WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position",
            [self.schema, table],
        )
        return {name: _logical(kind, precision, scale) for name, kind, precision, scale in rows}

    def names(self) -> list[str]:
        rows = self._session.rows(
            "SELECT DISTINCT table_name FROM svv_columns WHERE table_schema = ? ORDER BY table_name", [self.schema]
        )
        return [row[0] for row in rows]

    def databases(self) -> list[str]:
        rows = self._session.rows(
            "SELECT DISTINCT table_schema FROM svv_columns WHERE table_schema NOT IN ('information_schema', 'pg_catalog') "
            "ORDER BY table_schema"
        )
        return [row[0] for row in rows]

    def lock_books(self) -> None:
        """Behind it: a transaction reads from the snapshot of its first statement."""
        self._session.execute(f"LOCK {self.name('_guards')}")

    def _check_alone(self) -> None:
        """Nothing to look at: what is changed stands in the transaction that holds the lock."""


def _logical(kind: str, precision: int | None, scale: int | None) -> str:
    if kind.startswith("character varying"):
        return "varchar"
    return f"decimal({precision},{scale})" if kind == "numeric" else _LOGICAL.get(kind, kind)
