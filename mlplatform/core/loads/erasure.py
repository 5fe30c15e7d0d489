"""Erasures: rows taken out of a table for good, by retention or because a person asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from mlplatform.core.sql import identifier

COMPARISONS = {"equal": "CAST({column} AS VARCHAR) = ?", "before": "{column} < ?"}


@dataclass(frozen=True)
class Erasure:
    """What leaves one table: the rows whose `column` compares so with `value`, and the named quarantined records.

    Attributes:
        id: names it in the book `_erasures`.
        comparison: ``equal``: the column as text is `value`; ``before``: the column, a time, is earlier than `value`.
        records: quarantine ids of the table's records that go with it.
        from_snapshots: whether earlier snapshots must stop showing the rows too, also those that a model pins.
    """

    id: str
    table: str
    column: str
    comparison: Literal["equal", "before"]
    value: str | datetime
    reason: str
    erased_at: datetime
    records: tuple[str, ...] = ()
    from_snapshots: bool = False

    def where(self) -> str:
        """The condition as SQL; its one ``?`` is `parameter`."""
        return COMPARISONS[self.comparison].format(column=identifier(self.column))

    def parameter(self) -> Any:
        """What the condition compares with; times without a zone, in UTC."""
        return self.value.astimezone(UTC).replace(tzinfo=None) if isinstance(self.value, datetime) else self.value

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
