"""Rows made up from a table's schema: each fits its column's type, nullability, range and domain, and no key twice.

Values of a row lean on one hidden number, so that a model finds something to learn; they say nothing about real data.
A table of a unique key and an event time becomes a grid: every entity at every time, as recurring records are.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from mlplatform.core.tables.schema import Column, TableSchema

CATEGORIES = 8
NULLS = 0.04
GROUP = 3
"""Rows that share a value of a column of `groups`."""
LEANING = 0.85
"""How much of a value the row's hidden number decides; the rest is chance."""
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def sample_rows(
    schema: TableSchema,
    count: int,
    *,
    rng: random.Random,
    now: datetime,
    times: int = 120,
    groups: Collection[str] = (),
) -> list[dict[str, Any]]:
    """About `count` rows, JSON-able (times as ISO text), in the order of their event time.

    Args:
        times: distinct event times, a day apart, the newest before `now`; fewer where `count` is small.
        groups: columns whose values each stand in a few rows only (a ticket, an order), rather than in many.
    """
    days = max(1, min(times, math.isqrt(count) * 3, count)) if schema.event_time else count
    entities = max(1, count // days)
    rows, seen = [], set()
    for place in range(days * entities if schema.event_time else count):
        hidden = rng.random()
        row = {c.name: _value(schema, c, place, entities, hidden, rng) for c in schema.columns}
        row |= {c.name: _own(c, place // GROUP) for c in schema.columns if c.name in groups and _free(schema, c)}
        if schema.event_time:
            behind = timedelta(days=days - place // entities)
            row[schema.event_time] = _time(schema.column(schema.event_time), now - behind)
        key = tuple(row[name] for name in schema.unique_key)
        if not key or key not in seen:
            seen.add(key)
            rows.append(row)
    return rows


def _value(schema: TableSchema, column: Column, place: int, entities: int, hidden: float, rng: random.Random) -> Any:
    if column.name in schema.unique_key:
        number = place % entities if schema.event_time in schema.unique_key else place
        return _key(schema, column, number)
    if column.nullable and rng.random() < NULLS:
        return None
    return _at(column, LEANING * hidden + (1 - LEANING) * rng.random(), rng)


def _key(schema: TableSchema, column: Column, number: int) -> Any:
    """A key column's value for the entity `number`: each has its own; domains count like the digits of a number."""
    if column.domain:
        digit = number // _radix(schema, column)
        return _typed(column, column.domain[digit % len(column.domain)])
    if column.type == "boolean":
        return number // _radix(schema, column) % 2 == 0
    return _own(column, number)


def _own(column: Column, number: int) -> Any:
    """A value that no other number has."""
    if column.type in ("date", "timestamp"):
        return _time(column, _FIRST + timedelta(days=number))
    if column.type == "varchar":
        return f"{column.name}_{number:05d}"
    return _number(column, number + 1 + _bound(column.minimum, 0.0))


def _free(schema: TableSchema, column: Column) -> bool:
    """Whether a column's values are bound by nothing but its type."""
    bound = column.domain or column.type in ("boolean", "json") or column.maximum is not None
    return not bound and column.name not in (*schema.unique_key, schema.event_time)


def _radix(schema: TableSchema, column: Column) -> int:
    """How many values the key columns in front of `column` have together that do not number every entity."""
    radix = 1
    for name in schema.unique_key[: schema.unique_key.index(column.name)]:
        before = schema.column(name)
        radix *= len(before.domain) or (2 if before.type == "boolean" else 1)
    return radix


def _at(column: Column, share: float, rng: random.Random) -> Any:
    """The value at `share` (0 … 1) of the column's values."""
    if column.domain:
        return _typed(column, column.domain[min(int(share * len(column.domain)), len(column.domain) - 1)])
    if column.type == "varchar":
        return f"{column.name}_{chr(ord('a') + min(int(share * CATEGORIES), CATEGORIES - 1))}"
    if column.type == "boolean":
        return share > 0.5
    if column.type in ("date", "timestamp"):
        return _time(column, _FIRST + timedelta(hours=int(share * 8760)))
    if column.type == "json":
        return f'{{"value": {rng.randrange(100)}}}'
    low, high = _range(column)
    return _number(column, low + share * (high - low))


def _range(column: Column) -> tuple[float, float]:
    low, high = column.minimum, column.maximum
    if low is None and high is None:
        return -100.0, 100.0
    if low is None:
        return _bound(high, 0.0) - 100.0, _bound(high, 0.0)
    return _bound(low, 0.0), _bound(high, _bound(low, 0.0) + 100.0)


def _bound(bound: float | str | None, default: float) -> float:
    return default if bound is None else float(bound)


def _number(column: Column, value: float) -> Any:
    if column.type == "bigint":
        low, high = _range(column)
        return max(math.ceil(low), min(math.floor(high), round(value))) if column.maximum is not None else round(value)
    if column.type.startswith("decimal"):
        precision, scale = (int(part) for part in column.type[8:-1].split(","))
        largest = Decimal(10) ** (precision - scale) - Decimal(1).scaleb(-scale)
        return float(max(-largest, min(largest, round(Decimal(value), scale))))
    return round(value, 6)


def _time(column: Column, value: datetime) -> Any:
    if column.type == "date":
        return value.date().isoformat()
    if column.type in ("timestamp", "varchar"):
        return value.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat(sep=" ")
    return int(value.timestamp())


def _typed(column: Column, text: str) -> Any:
    """A domain's text as a value of the column's type."""
    if column.type == "bigint":
        return int(text)
    if column.type == "double" or column.type.startswith("decimal"):
        return float(text)
    return text == "true" if column.type == "boolean" else text
