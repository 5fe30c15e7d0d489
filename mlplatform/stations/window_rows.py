"""The rows a monitor judges, as SQL: which values arrived, whether a window is complete, and a window's rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from mlplatform.core.drift.windows import Window, is_closed
from mlplatform.core.sql import identifier, literal
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.table import TableSpec

MAX_WINDOWS = 16
"""Windows found in one go at most; what is beyond is found next time."""


class WindowRows:
    """Windows over one column of a feature query's rows.

    Args:
        query_sql: the feature set's query; the column must be among its outputs. Rows, provenance and so completeness
            are those of `table`.
    """

    def __init__(self, warehouse: Warehouse, table: TableSpec, *, query_sql: str, column: str) -> None:
        self._warehouse = warehouse
        self._table = table
        self._column = identifier(column)
        self._type = next(c.type for c in table.columns if c.name == column)
        self._source = f"(\n{query_sql.strip().rstrip(';')}\n)"

    def values(self, *, after: str, size: int) -> list[str]:
        """Distinct values behind `after` in order, enough for `MAX_WINDOWS` windows of `size`, as text."""
        sql = (
            f"SELECT CAST(value AS VARCHAR) FROM (SELECT DISTINCT {self._column} AS value FROM {self._source} AS source "  # noqa: S608
            f"WHERE {self._column} > {self._cast(after)} ORDER BY value LIMIT {size * MAX_WINDOWS}) AS found ORDER BY value"
        )
        return [str(v) for v in self._warehouse.query(sql).column(0).to_pylist()]

    def closed(self, window: Window, *, now: datetime, lateness_s: float) -> bool:
        """Whether no more rows of `window` are to be expected; see `core.drift.windows.is_closed`."""
        upto = self._cast(window.upto)
        table = identifier(self._table.schema_().name)
        later = f"max(CASE WHEN {self._column} > {upto} THEN 1 ELSE 0 END)"
        behind = f"{self._column} > {self._cast(window.after)}"
        if self._table.existing is not None:
            (row,) = self._rows(f"SELECT {later} AS later FROM {table} WHERE {behind}")  # noqa: S608
            return bool(row["later"])
        newest = f"max(CASE WHEN {self._column} <= {upto} THEN _loaded_at END)"
        (row,) = self._rows(f"SELECT {newest} AS newest, {later} AS later FROM {table} WHERE {behind}")  # noqa: S608
        shards = self._rows(
            f"SELECT _source, {later} AS later FROM {table} WHERE _offset IS NOT NULL GROUP BY _source"  # noqa: S608
        )
        if row["newest"] is None:
            return bool(row["later"])
        return is_closed(
            newest_load=utc(row["newest"]),
            passed_by={s["_source"]: bool(s["later"]) for s in shards},
            later_values=bool(row["later"]),
            now=now,
            lateness=timedelta(seconds=lateness_s),
        )

    def relation(self, window: Window) -> str:
        """The rows of `window`, all columns of the feature query, to stand behind FROM."""
        return (
            f"(SELECT * FROM {self._source} AS source WHERE {self._column} > {self._cast(window.after)} "  # noqa: S608
            f"AND {self._column} <= {self._cast(window.upto)})"
        )

    def _cast(self, value: str) -> str:
        return f"CAST({literal(value)} AS {self._type.upper()})"

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        return self._warehouse.query(sql).to_pylist()


def utc(value: datetime) -> datetime:
    """A time as a warehouse gives it: in UTC, whether it says so or not."""
    return value if value.tzinfo else value.replace(tzinfo=UTC)
