"""Made-up rows fit the schema they are made from, and wrong ones break one rule each."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from typing import Any

import pytest

from mlplatform.core.tables.sample_rows import sample_rows
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.core.tables.wrong_rows import wrong_rows

NOW = datetime(2024, 5, 17, 12, tzinfo=UTC)
PRICES = TableSchema(
    "prices",
    (
        Column("ticker", nullable=False),
        Column("day", "date", nullable=False),
        Column("price", "double", nullable=False, minimum=0.0),
        Column("change", "double"),
    ),
    unique_key=("ticker", "day"),
    event_time="day",
    future_s=86400,
)


def made(schema: TableSchema, count: int = 2000, seed: int = 0) -> list[dict[str, Any]]:
    return sample_rows(schema, count, rng=random.Random(seed), now=NOW)


def test_rows_of_a_key_with_its_event_time_are_a_grid_of_entities_and_days() -> None:
    rows = made(PRICES)
    days = sorted({row["day"] for row in rows})
    tickers = {row["ticker"] for row in rows}
    assert (len(days), len(tickers), len(rows)) == (120, 16, 1920)
    assert {(row["ticker"], row["day"]) for row in rows} == {(t, d) for t in tickers for d in days}
    assert days[-1] == "2024-05-16"
    assert [row["day"] for row in rows] == sorted(row["day"] for row in rows)


def test_the_same_seed_makes_the_same_rows() -> None:
    assert made(PRICES, seed=3) == made(PRICES, seed=3)
    assert made(PRICES, seed=3) != made(PRICES, seed=4)


def test_values_stay_in_range_and_only_nullable_columns_are_ever_empty() -> None:
    rows = made(PRICES)
    assert all(0 <= row["price"] <= 100 for row in rows)
    empty = sum(row["change"] is None for row in rows)
    assert 20 < empty < 160
    assert not any(row[name] is None for row in rows for name in ("ticker", "day", "price"))


def test_columns_lean_on_one_another_so_that_there_is_something_to_learn() -> None:
    rows = [row for row in made(PRICES) if row["change"] is not None]
    high = [row["price"] for row in rows if row["change"] > 50]
    low = [row["price"] for row in rows if row["change"] < -50]
    assert sum(high) / len(high) > 60 > 40 > sum(low) / len(low)


@pytest.mark.parametrize(
    ("column", "fits"),
    [
        (Column("x", "bigint", nullable=False, minimum=3, maximum=5), lambda v: v in (3, 4, 5)),
        (Column("x", "bigint", nullable=False, domain=("0", "1")), lambda v: v in (0, 1) and type(v) is int),
        (Column("x", "double", nullable=False, maximum=-7.5), lambda v: -107.5 <= v <= -7.5),
        (Column("x", "decimal(5,2)", nullable=False, minimum=0, maximum=10_000), lambda v: v <= 999.99),
        (Column("x", "varchar", nullable=False, domain=("a", "b")), lambda v: v in ("a", "b")),
        (Column("x", "boolean", nullable=False), lambda v: v in (True, False)),
        (Column("x", "date", nullable=False), date.fromisoformat),
        (Column("x", "timestamp", nullable=False), datetime.fromisoformat),
        (Column("x", "json", nullable=False), lambda v: v.startswith('{"value": ')),
    ],
    ids=lambda value: value.type if isinstance(value, Column) else "",
)
def test_every_value_fits_its_column(column: Column, fits: Any) -> None:
    rows = made(TableSchema("t", (column,)), 300)
    assert len(rows) == 300
    assert all(fits(row["x"]) for row in rows)


def test_a_key_of_domains_alone_gives_as_many_rows_as_it_has_values() -> None:
    columns = (Column("size", domain=("s", "m", "l")), Column("sold", "boolean"), Column("n", "bigint"))
    rows = made(TableSchema("t", columns, unique_key=("size", "sold")), 50)
    assert {(row["size"], row["sold"]) for row in rows} == {(s, b) for s in "sml" for b in (True, False)}
    assert len(rows) == 6


def test_a_value_of_a_group_stands_in_a_few_rows_only() -> None:
    schema = TableSchema("t", (Column("ticket"), Column("kind", domain=("a", "b")), Column("n", "bigint")))
    rows = sample_rows(schema, 30, rng=random.Random(0), now=NOW, groups=("ticket", "kind", "n"))
    assert [row["ticket"] for row in rows[:4]] == ["ticket_00000"] * 3 + ["ticket_00001"]
    assert len({row["n"] for row in rows}) == 10
    assert {row["kind"] for row in rows} <= {"a", "b", None}


def test_wrong_rows_break_each_rule_once() -> None:
    good = made(PRICES, 1)[0]
    wrong = wrong_rows(PRICES, good, now=NOW)
    assert [w.broken for w in wrong] == [
        "ticker: no value",
        "day: no value",
        "day: not of type date",
        "day: in the future",
        "price: no value",
        "price: not of type double",
        "price: less than 0",
        "change: not of type double",
    ]
    differing = [{name for name in good if w.row[name] != good[name]} for w in wrong]
    assert differing == [{w.broken.split(":")[0]} for w in wrong]
