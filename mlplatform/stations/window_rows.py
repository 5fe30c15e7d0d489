"""The rows a monitor judges, as SQL: which values arrived, whether a window is complete, and a window's rows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from mlplatform.core.drift.windows import Window, is_closed
from mlplatform.core.sql import identifier, literal
from mlplatform.core.tables.schema import latest_time
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.table import TableSpec
from mlplatform.stations.seen import Seen

MAX_WINDOWS = 16
"""Windows found in one go at most; what is beyond is found next time."""


class WindowRows:
    """Windows over one column of a feature query's rows. Where it is a date or timestamp, values that have not come are none.

    Args:
        query_sql: the feature set's query; the column must be among its outputs. Rows, provenance and so completeness
            are those of `table`.
        waiting: sources of the table with something that came by a time and is not loaded (`Backlog.sources`).
    """

    def __init__(
        self,
        warehouse: Warehouse,
        table: TableSpec,
        *,
        query_sql: str,
        column: str,
        waiting: Callable[[datetime], Collection[str]] = lambda _: (),
    ) -> None:
        self._warehouse = warehouse
        self._waiting = waiting
        self._table = table
        self._column = identifier(column)
        self._type = next(c.type for c in table.columns if c.name == column)
        self._overtaken: tuple[str, int, int] | None = None
        self._source = f"(\n{query_sql.strip().rstrip(';')}\n)"

    def values(self, *, after: str, size: int, now: datetime) -> list[str]:
        """Distinct values behind `after` that have come by `now`, in order, enough for `MAX_WINDOWS` windows of `size`, as text."""
        sql = (
            f"SELECT CAST(value AS VARCHAR) FROM (SELECT DISTINCT {self._column} AS value FROM {self._source} AS source "  # noqa: S608
            f"WHERE {self._column} > {self._cast(after)} AND {self._come(now)} ORDER BY value LIMIT {size * MAX_WINDOWS}) AS found ORDER BY value"
        )
        return [str(v) for v in self._warehouse.query(sql).column(0).to_pylist()]

    def ahead(self, value: str, *, now: datetime) -> bool:
        """Whether `value` lies so far in the future that the table's load refuses it: no row behind it is to be expected."""
        if not self._judges_time:
            return False
        (row,) = self._rows(f"SELECT {self._cast(value)} > {self._cast(self._latest(now))} AS ahead")
        return bool(row["ahead"])

    def position(self) -> int | None:
        """Position of the table's newest ledger row, 0 before the first; None where others load it, and nobody makes books."""
        if self._table.existing is not None:
            return None
        name = self._table.schema_().name
        found = self._warehouse.query("SELECT max(position) FROM _ledger WHERE table_name = ?", [name])
        return int(found.column(0)[0].as_py() or 0)

    def overtaken(self, after: str, *, since: Seen) -> int:
        """Distinct values loaded since `since` that lie between `after` and the newest before it that was there by then.

        Where they are many, `after` is a stray: time goes on behind it. History that is loaded later lies before, and is
        not counted; where others load the table, nobody says when, and nothing is.
        """
        loads = self.position()
        if loads is None:
            return 0
        if self._overtaken is None or self._overtaken[:2] != (after, loads):
            # Asked for often: the rows are only looked through where some were loaded since.
            self._overtaken = (after, loads, self._count_overtaken(after, since))
        return self._overtaken[2]

    def _count_overtaken(self, after: str, since: Seen) -> int:
        name = self._table.schema_().name
        table, later = identifier(name), since.later_sql(name)
        (row,) = self._rows(
            f"SELECT count(DISTINCT {self._column}) AS overtaken FROM {table} "  # noqa: S608
            f"WHERE {later} AND {self._column} < {self._cast(after)} AND {self._column} > "
            f"(SELECT max({self._column}) FROM {table} WHERE NOT ({later}) AND {self._column} < {self._cast(after)})"
        )
        return int(row["overtaken"])

    def late(self, *, upto: str, since: Seen, first: str | None = None) -> int | None:
        """Rows from `first` up to `upto` that were loaded since `since`; None where others load the table, and do not say when."""
        if self._table.existing is not None:
            return None
        name = self._table.schema_().name
        begun = "" if first is None else f" AND {self._column} >= {self._cast(first)}"
        (row,) = self._rows(
            f"SELECT count(*) AS late FROM {identifier(name)} "  # noqa: S608
            f"WHERE {self._column} <= {self._cast(upto)}{begun} AND {since.later_sql(name)}"
        )
        return int(row["late"])

    def closed(self, window: Window, *, now: datetime, lateness_s: float) -> bool:
        """Whether no more rows of `window` are to be expected; see `core.drift.windows.is_closed`."""
        upto = self._cast(window.upto)
        table = identifier(self._table.schema_().name)
        later = f"max(CASE WHEN {self._column} > {upto} AND {self._come(now)} THEN 1 ELSE 0 END)"
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
        newest_load, lateness = utc(row["newest"]), timedelta(seconds=lateness_s)
        # A load of the future was dated by a clock that was set back since: it says nothing of what came before it.
        waiting = self._waiting(newest_load + lateness) if newest_load <= now + lateness else ()
        return is_closed(
            waiting=waiting,
            newest_load=newest_load,
            passed_by={s["_source"]: bool(s["later"]) for s in shards},
            later_values=bool(row["later"]),
            now=now,
            lateness=lateness,
        )

    def relation(self, window: Window) -> str:
        """The rows of `window`, all columns of the feature query, to stand behind FROM."""
        return (
            f"(SELECT * FROM {self._source} AS source WHERE {self._column} > {self._cast(window.after)} "  # noqa: S608
            f"AND {self._column} <= {self._cast(window.upto)})"
        )

    @property
    def _judges_time(self) -> bool:
        table = self._table
        return self._type in ("date", "timestamp") and table.future_s is not None

    def _latest(self, now: datetime) -> str:
        return latest_time(now, self._table.future_s or 0.0)

    def _come(self, now: datetime) -> str:
        """SQL that is true for values that have come by `now`."""
        return f"{self._column} <= {self._cast(self._latest(now))}" if self._judges_time else "true"

    def _cast(self, value: str) -> str:
        return f"CAST({literal(value)} AS {self._type.upper()})"

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        return self._warehouse.query(sql).to_pylist()


def utc(value: datetime) -> datetime:
    """A time as a warehouse gives it: in UTC, whether it says so or not."""
    return value if value.tzinfo else value.replace(tzinfo=UTC)
