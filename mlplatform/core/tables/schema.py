"""A table's schema: names, logical types, and what a row must satisfy to be loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

ScalarType = Literal["varchar", "bigint", "double", "boolean", "date", "timestamp", "json"]
"""Logical types every warehouse maps to its own; `timestamp` is in UTC; `decimal(p,s)` stands beside them."""

LOADED_AT = "_loaded_at"
PROVENANCE = ("_batch_id", "_source", "_offset", LOADED_AT)
"""Columns every loaded row carries beside its own.

`_batch_id` the plan's id (its ledger row), `_source` the object's key or ``stream/shard``, `_offset` the stream's
sequence string (NULL for files: the row number is derived when asked), `_loaded_at` the load's time in UTC.
"""

MASKED = "•••"
"""What stands for a value of a personal column where values are not to be compared."""

_DECIMAL = re.compile(r"decimal\((\d{1,2}),(\d{1,2})\)")
_SCALARS = frozenset(ScalarType.__args__)  # type: ignore[attr-defined]


def is_type(name: str) -> bool:
    """Whether `name` is a logical type: one of `ScalarType`, or ``decimal(p,s)`` with s ≤ p ≤ 38."""
    if name in _SCALARS:
        return True
    match = _DECIMAL.fullmatch(name)
    return match is not None and int(match[2]) <= int(match[1]) <= 38


@dataclass(frozen=True)
class Column:
    """One column: a value outside `minimum` … `maximum` (inclusive) or not in `domain` is quarantined, NULL passes if `nullable`.

    `longest_bytes` and `null_byte` are a warehouse's own limits on texts (see `TableSchema.limited`), not a user's;
    `latest` is the latest time accepted in the load at hand (see `TableSchema.loaded_at`). `personal`: its values say
    something of a person, and are told nowhere but where rows are kept.
    """

    name: str
    type: str = "varchar"
    nullable: bool = True
    minimum: float | str | None = None
    maximum: float | str | None = None
    domain: tuple[str, ...] = ()
    description: str = ""
    longest_bytes: int | None = None
    null_byte: bool = True
    latest: str | None = None
    personal: bool = False


@dataclass(frozen=True)
class TableSchema:
    """A table: rows that share all `unique_key` values are one row (the first loaded stays; later ones count as duplicates).

    `future_s`: by how many seconds an event time (of type date or timestamp) may be later than its load; None = any.
    """

    name: str
    columns: tuple[Column, ...]
    unique_key: tuple[str, ...] = ()
    event_time: str | None = None
    future_s: float | None = None

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def limited(self, *, longest_bytes: int | None, null_byte: bool) -> TableSchema:
        """The schema for a warehouse whose texts (UTF-8) are so long at most, and hold null bytes or do not."""
        columns = tuple(
            replace(c, longest_bytes=longest_bytes, null_byte=null_byte) if c.type in ("varchar", "json") else c
            for c in self.columns
        )
        return replace(self, columns=columns)

    def loaded_at(self, now: datetime) -> TableSchema:
        """The schema for a load at `now`: an event time more than `future_s` later does not fit."""
        if self.event_time is None or self.future_s is None:
            return self
        latest = latest_time(now, self.future_s)
        columns = tuple(
            replace(c, latest=latest) if c.name == self.event_time and c.type in ("date", "timestamp") else c
            for c in self.columns
        )
        return replace(self, columns=columns)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def personal(self) -> frozenset[str]:
        """Names of the personal columns."""
        return frozenset(column.name for column in self.columns if column.personal)


def latest_time(now: datetime, future_s: float) -> str:
    """The latest time that is accepted at `now`, in UTC, as SQL's text of a timestamp (its day is that of a date)."""
    return (now.astimezone(UTC) + timedelta(seconds=future_s)).strftime("%Y-%m-%d %H:%M:%S")
