"""Erasures: rows taken out of a table for good, by retention or because a person asked."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from mlplatform.core.sql import identifier
from mlplatform.core.tables.typed import Typed
from mlplatform.errors import NotFoundError


@dataclass(frozen=True)
class Condition:
    """``equal``: the column is `value`, compared as text where that is one; ``before``: the column, a time, is earlier."""

    column: str
    comparison: Literal["equal", "before"]
    value: Typed

    def sql(self, quote: Callable[[str], str] = identifier) -> str:
        """The condition; its one ``?`` is `parameter`. `quote`: a name as the warehouse's SQL has it."""
        column = quote(self.column)
        if self.comparison == "before":
            return f"{column} < ?"
        return f"CAST({column} AS VARCHAR) = ?" if isinstance(self.value, str) else f"{column} = ?"

    def parameter(self) -> Any:
        """What the column is compared with; times without a zone, in UTC."""
        return self.value.astimezone(UTC).replace(tzinfo=None) if isinstance(self.value, datetime) else self.value


@dataclass(frozen=True)
class Erasure:
    """What leaves one table: the rows that meet every condition, and the named quarantined records.

    Attributes:
        id: names it in the book `_erasures`.
        conditions: none: no row goes, only the records.
        records: quarantine ids of the table's records that go with it.
        from_snapshots: whether earlier snapshots must stop showing the rows too, also those that a model pins.
    """

    id: str
    table: str
    conditions: tuple[Condition, ...]
    reason: str
    erased_at: datetime
    records: tuple[str, ...] = ()
    from_snapshots: bool = False

    def where(self, quote: Callable[[str], str] = identifier) -> str:
        """The conditions as SQL, one ``?`` for each of `parameters`."""
        return " AND ".join(condition.sql(quote) for condition in self.conditions) or "1 = 0"

    def parameters(self) -> list[Any]:
        """What is bound to the ``?`` of `where`."""
        return [condition.parameter() for condition in self.conditions]

    def check_columns(self, there: Collection[str]) -> None:
        """That the table, whose columns are `there`, has those of the conditions. Raises NotFoundError."""
        if not there:
            raise NotFoundError(f"The warehouse has no table '{self.table}'.")
        for condition in self.conditions:
            if condition.column not in there:
                raise NotFoundError(
                    f"Table '{self.table}' has no column '{condition.column}'; it has: {', '.join(there)}.",
                    next_step="Name one of them.",
                )

    def row(self, erased: Erased, *, snapshots: bool) -> dict[str, Any]:
        """The book's row (see `core.tables.books.ERASURES`); `snapshots`: whether the warehouse keeps any."""
        at = self.erased_at.astimezone(UTC).replace(tzinfo=None)
        done = None if snapshots and self.from_snapshots else at
        return {
            "erasure_id": self.id,
            "table_name": self.table,
            "reason": self.reason,
            "rows": erased.rows,
            "records": erased.records,
            "erased_at": at,
            "rewritten_at": done,
            "purged_at": done,
        }


@dataclass(frozen=True)
class Erased:
    """How many rows of the table and records of its quarantine went."""

    rows: int
    records: int
