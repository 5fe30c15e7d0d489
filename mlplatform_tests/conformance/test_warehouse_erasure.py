"""Rows taken out for good, on every warehouse: by a person's key, or by age; with the book that says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from mlplatform.core.loads.erasure import Condition, Erased, Erasure
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.core.tables.typed import Typed
from mlplatform.errors import NotFoundError
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import HEADER, Case, case, ducklake_case, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ERASURE = Erasure("e1", "prices", (Condition("ticker", "equal", "B"),), "asked for", NOW)
ROWS = HEADER + b"A,,1,,2020-01-01\nB,,2,,2020-01-01\nB,,3,,2020-01-02\nA,,4,,2020-01-03\n"
SEEN = TableSchema("seen", (Column("id", "bigint", nullable=False), Column("at", "timestamp", nullable=False)))


def book(case: Case) -> list[tuple[object, ...]]:
    return case.rows("SELECT erasure_id, table_name, rows, records FROM _erasures ORDER BY erasure_id")


def test_rows_of_one_key_go_and_the_book_says_how_many(case: Case) -> None:
    case.load("in/a.csv", ROWS)
    assert case.warehouse.erase(ERASURE) == Erased(rows=2, records=0)
    assert case.rows("SELECT ticker, price FROM prices ORDER BY price") == [("A", 1.0), ("A", 4.0)]
    assert book(case) == [("e1", "prices", 2, 0)]


def test_the_same_erasure_again_takes_nothing_and_writes_nothing(case: Case) -> None:
    case.load("in/a.csv", ROWS)
    case.warehouse.erase(ERASURE)
    assert case.warehouse.erase(ERASURE) == Erased(rows=0, records=0)
    assert book(case) == [("e1", "prices", 2, 0)]


def test_a_number_is_compared_as_text(case: Case) -> None:
    case.warehouse.create(SEEN)
    case.load("in/s.csv", b"id,at\n7,2026-01-01 00:00:00\n77,2026-01-01 00:00:00\n", schema=SEEN)
    assert case.warehouse.erase(Erasure("e2", "seen", (Condition("id", "equal", "7"),), "asked for", NOW)).rows == 1
    assert case.rows("SELECT id FROM seen") == [(77,)]


def test_a_value_of_the_columns_type_is_compared_as_that(case: Case) -> None:
    kinds = ["bigint", "double", "decimal(8,2)", "boolean", "date", "timestamp"]
    schema = TableSchema("typed", tuple(Column(f"c{n}", kind) for n, kind in enumerate(kinds)))
    case.warehouse.create(schema)
    rows = b"7,7,7.5,true,2026-01-07,2026-01-07 08:00:00\n8,8,8.5,false,2026-01-08,2026-01-08 08:00:00\n"
    case.load("in/t.csv", b"c0,c1,c2,c3,c4,c5\n" + rows, schema=schema)
    there = datetime(2026, 1, 7, 10, tzinfo=timezone(timedelta(hours=2)))
    values: list[Typed] = [7, 7.0, Decimal("7.50"), True, date(2026, 1, 7), there]
    conditions = tuple(Condition(f"c{n}", "equal", value) for n, value in enumerate(values))
    other = (*conditions[:-1], Condition("c5", "equal", there.replace(tzinfo=UTC)))
    assert case.warehouse.erase(Erasure("e6", "typed", other, "asked for", NOW)).rows == 0
    assert case.warehouse.erase(Erasure("e7", "typed", conditions, "asked for", NOW)).rows == 1
    assert case.rows("SELECT c0 FROM typed") == [(8,)]


def test_rows_before_a_moment_go_and_those_at_it_stay(case: Case) -> None:
    case.warehouse.create(SEEN)
    case.load("in/s.csv", b"id,at\n1,2026-01-01 11:59:59\n2,2026-01-01 12:00:00\n", schema=SEEN)
    until = datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert case.warehouse.erase(Erasure("e3", "seen", (Condition("at", "before", until),), "retention", NOW)).rows == 1
    assert case.rows("SELECT id FROM seen") == [(2,)]


def test_only_the_named_records_leave_the_quarantine(case: Case) -> None:
    bad = case.load("in/bad.csv", HEADER + b"B,,x,,2020-01-01\nC,,y,,2020-01-01\n")
    names = [row[0] for row in case.rows("SELECT quarantine_id FROM _quarantine ORDER BY record_offset")]
    assert case.warehouse.erase(replace(ERASURE, records=(names[0],))) == Erased(rows=0, records=1)
    assert [raw for _, _, raw in case.reasons(bad)] == [b"C,,y,,2020-01-01"]


def test_without_a_condition_only_the_named_records_go(case: Case) -> None:
    case.load("in/bad.csv", HEADER + b"A,,1,,2020-01-01\nB,,x,,2020-01-01\n")
    ((name,),) = case.rows("SELECT quarantine_id FROM _quarantine")
    assert case.warehouse.erase(replace(ERASURE, conditions=(), records=(name,))) == Erased(rows=0, records=1)
    assert case.rows("SELECT ticker FROM prices") == [("A",)]
    assert book(case) == [("e1", "prices", 0, 1)]


def test_loads_go_on_after_an_erasure(case: Case) -> None:
    case.load("in/a.csv", ROWS)
    case.warehouse.erase(ERASURE)
    case.load("in/b.csv", HEADER + b"B,,9,,2020-02-01\n")
    assert case.count() == 3


def test_a_table_or_column_that_is_not_there_is_named(case: Case) -> None:
    with pytest.raises(NotFoundError, match="no column 'name'; it has: ticker, change"):
        case.warehouse.erase(replace(ERASURE, conditions=(Condition("name", "equal", "B"),)))
    with pytest.raises(NotFoundError, match="no table 'people'"):
        case.warehouse.erase(replace(ERASURE, table="people"))


def holding(folder: Path, text: bytes) -> int:
    """How many files under `folder` hold the text."""
    return sum(text in path.read_bytes() for path in folder.rglob("*.parquet"))


@pytest.fixture
def lake(tmp_path: Path) -> Case:
    case = ducklake_case(tmp_path)
    case.warehouse.create(SEEN)
    case.warehouse.create(replace(SEEN, name="people", columns=(Column("name", nullable=False),)))
    rows = b"".join(b"somebody%d\n" % n for n in range(50))
    case.load(
        "in/p.csv", b"name\n" + rows + b"Zebedee\n", schema=replace(SEEN, name="people", columns=(Column("name"),))
    )
    return case


def test_an_erasure_from_snapshots_leaves_no_file_that_holds_the_row(lake: Case, tmp_path: Path) -> None:
    data = tmp_path / "warehouse" / "data"
    pinned = lake.warehouse.unload({"u": "SELECT 1 AS one"}, lake.store)["u"].engine_version
    assert pinned is not None
    assert holding(data, b"Zebedee") == 1
    lake.warehouse.erase(
        Erasure("e4", "people", (Condition("name", "equal", "Zebedee"),), "asked for", NOW, from_snapshots=True)
    )
    now = datetime.now(UTC)
    first = lake.warehouse.maintain(now=now, keep=timedelta(days=7), pinned=[pinned])
    assert first.kept_versions == ()
    with pytest.raises(NotFoundError, match=pinned):
        lake.warehouse.query("SELECT 1 AS one", at=pinned)
    lake.warehouse.maintain(now=now + timedelta(hours=2), keep=timedelta(days=7), pinned=[pinned])
    assert holding(data, b"Zebedee") == 0
    assert lake.count("people") == 50
    assert lake.rows("SELECT count(*) AS n FROM _erasures WHERE purged_at IS NOT NULL") == [(1,)]


def test_retention_leaves_a_pinned_snapshot_readable(lake: Case) -> None:
    pinned = lake.warehouse.unload({"u": "SELECT 1 AS one"}, lake.store)["u"].engine_version
    assert pinned is not None
    lake.warehouse.erase(Erasure("e5", "people", (Condition("name", "equal", "Zebedee"),), "retention", NOW))
    done = lake.warehouse.maintain(now=datetime.now(UTC), keep=timedelta(0), pinned=[pinned])
    assert done.kept_versions == (pinned,)
    assert lake.warehouse.query("SELECT count(*) AS n FROM people", at=pinned).to_pylist() == [{"n": 51}]
