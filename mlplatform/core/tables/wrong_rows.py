"""Records made wrong on purpose, one for each rule of a table's schema: what the quarantine must keep out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mlplatform.core.tables.schema import TableSchema

NO_VALUE_OF_ANY_TYPE = "no value of this type"


@dataclass(frozen=True)
class WrongRow:
    """A record, and the rule it breaks in words: ``price: no value``."""

    broken: str
    row: Mapping[str, Any]


def wrong_rows(schema: TableSchema, good: Mapping[str, Any], *, now: datetime) -> list[WrongRow]:
    """`good` with one rule broken in each: a value missing, of another type, out of range or domain, or of the future."""
    found = []

    def broken(column: str, value: Any, rule: str) -> None:
        found.append(WrongRow(f"{column}: {rule}", {**good, column: value}))

    for column in schema.columns:
        if not column.nullable:
            broken(column.name, None, "no value")
        if column.type not in ("varchar", "json"):  # any text is some JSON, where records are JSON
            broken(column.name, NO_VALUE_OF_ANY_TYPE, f"not of type {column.type}")
        if isinstance(column.minimum, int | float):
            broken(column.name, column.minimum - 1, f"less than {column.minimum:g}")
        if isinstance(column.maximum, int | float):
            broken(column.name, column.maximum + 1, f"more than {column.maximum:g}")
        if column.domain and column.type == "varchar":
            broken(column.name, NO_VALUE_OF_ANY_TYPE, "not in its domain")
        if column.name == schema.event_time and column.type in ("date", "timestamp") and schema.future_s is not None:
            day = (now.astimezone(UTC) + timedelta(seconds=schema.future_s, days=2)).date()
            broken(column.name, day.isoformat(), "in the future")
    return found
