"""The contract of the warehouse port: reading cannot write, errors name what is there, unloads are of one snapshot."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime, timedelta

import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import ConflictError, DataError, NotFoundError, TimedOutError
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case, case, counts, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]


def test_a_missing_table_or_column_is_named_with_those_that_are_there(case: Case) -> None:
    with pytest.raises(NotFoundError, match=r"'nope'.*prices"):
        case.warehouse.query("SELECT 1 FROM nope")
    with pytest.raises(NotFoundError, match=r"'prize'.*price"):
        case.warehouse.query("SELECT prize FROM prices")
    assert case.count() == 0


@pytest.mark.parametrize(
    "sql", ["DROP TABLE prices", "DELETE FROM prices", "SELECT 1; SELECT 2", "SELEC 1", "SELECT CAST('a' AS bigint)"]
)
def test_bad_sql_and_statements_that_write_are_data_errors(case: Case, sql: str) -> None:
    with pytest.raises(DataError):
        case.warehouse.query(sql)
    assert case.count() == 0


def test_a_query_that_takes_too_long_is_cancelled_and_the_next_one_works(case: Case) -> None:
    with pytest.raises(TimedOutError):
        case.warehouse.query(case.slow, timeout_s=0.2)
    assert case.rows("SELECT 1 AS one") == [(1,)]


def test_an_unload_that_fails_on_a_value_is_a_data_error_and_the_next_one_works(case: Case) -> None:
    case.load("in/a.csv", HEADER + b"A,,1.5,7,2020-01-01\n")
    with pytest.raises(DataError, match="The query is wrong"):
        case.warehouse.unload({"u/bad": "SELECT CAST(ticker AS bigint) AS n FROM prices"}, case.store)
    with pytest.raises(NotFoundError, match=r"'prize'.*price"):
        case.warehouse.unload({"u/bad": "SELECT prize FROM prices"}, case.store)
    found = case.warehouse.unload({"u/good": "SELECT ticker FROM prices"}, case.store)
    assert sum(part.rows for part in found["u/good"].parts) == 1


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_unloaded_parts_hold_the_rows_and_their_hashes(case: Case, kind: str) -> None:
    case.load("in/a.csv", HEADER + b'"A,""x""",,1.5,7,2020-01-01\nB,,2,,2020-01-02\n')
    queries = {
        "u/all": "SELECT ticker, price, volume FROM prices",
        "u/none": "SELECT ticker FROM prices WHERE price > 9",
    }
    found = case.warehouse.unload(queries, case.store, format=kind)  # type: ignore[arg-type]
    assert [sum(part.rows for part in found[prefix].parts) for prefix in queries] == [2, 0]
    assert {found[prefix].ledger_position for prefix in queries} == {1}
    rows: list[tuple[object, ...]] = []
    for part in found["u/all"].parts:
        with case.store.open(part.key) as file:
            data = file.read()
        assert (part.size_bytes, part.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert part.key.startswith("u/all/")
        table = pc.read_csv(io.BytesIO(data)) if kind == "csv" else pq.read_table(io.BytesIO(data))
        assert table.column_names == ["ticker", "price", "volume"]
        rows += [tuple(row.values()) for row in table.to_pylist()]
    assert sorted(rows, key=str) == [('A,"x"', 1.5, 7), ("B", 2.0, None)]


def test_an_older_version_is_read_as_it_was(case: Case) -> None:
    if not case.warehouse.capabilities.snapshots:
        with pytest.raises(DataError):
            case.warehouse.query("SELECT 1 AS one", at="1")
        return
    case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    version = case.warehouse.unload({"u": "SELECT 1 AS one"}, case.store)["u"].engine_version
    case.load("in/b.csv", HEADER + b"B,,1,,2020-01-01\n")
    assert case.warehouse.query("SELECT ticker FROM prices", at=version).to_pylist() == [{"ticker": "A"}]
    assert case.warehouse.unload({"v": "SELECT * FROM prices"}, case.store, at=version)["v"].parts[0].rows == 1
    assert case.warehouse.unload({"v": "SELECT * FROM prices"}, case.store, at=version)["v"].ledger_position == 1
    with pytest.raises(NotFoundError, match="999999"):
        case.warehouse.query("SELECT 1 AS one", at="999999")


def test_a_new_column_is_null_in_old_rows_and_loaded_into_new_ones(case: Case) -> None:
    case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    wider = TableSchema("prices", (*PRICES.columns, Column("currency")), PRICES.unique_key, PRICES.event_time)
    case.open().create(wider)
    case.load("in/b.csv", HEADER.replace(b"day", b"day,currency") + b"B,,1,,2020-01-01,USD\n", schema=wider)
    case.load("in/c.csv", HEADER + b"C,,1,,2020-01-01\n", schema=wider)
    assert case.rows("SELECT ticker, currency FROM prices ORDER BY ticker") == [("A", None), ("B", "USD"), ("C", None)]


def test_a_type_may_widen_and_keeps_its_values(case: Case) -> None:
    case.load("in/a.csv", HEADER + b"A,,1,9007199254740993,2020-01-01\n")
    columns = tuple(Column("volume") if c.name == "volume" else c for c in PRICES.columns)
    wider = TableSchema("prices", columns, PRICES.unique_key, PRICES.event_time)
    case.warehouse.create(wider)
    case.warehouse.create(wider)
    receipt = case.load("in/b.csv", HEADER + b"B,,1,many,2020-01-01\nA,,1,,2020-01-01\n", schema=wider)
    assert counts(receipt) == (2, 1, 0, 1, 0)
    assert case.rows("SELECT volume FROM prices ORDER BY ticker") == [("9007199254740993",), ("many",)]


def test_a_type_that_cannot_become_the_declared_one_is_refused_by_name(case: Case) -> None:
    columns = tuple(Column("ticker", "bigint") if c.name == "ticker" else c for c in PRICES.columns)
    with pytest.raises(ConflictError, match=r"'ticker'.*varchar.*bigint"):
        case.warehouse.create(TableSchema("prices", columns))


@pytest.mark.parametrize("name", ["_ledger", "_guards", "_quarantine"])
def test_the_names_of_the_books_are_taken(case: Case, name: str) -> None:
    with pytest.raises(ConflictError, match=name):
        case.warehouse.create(TableSchema(name, (Column("a"),)))


def test_maintenance_changes_no_row_and_keeps_pinned_versions(case: Case) -> None:
    for number in range(6):
        case.load(f"in/{number}.csv", HEADER + b"T%d,,1,,2020-01-01\n" % number)
    before = case.rows("SELECT ticker, _batch_id FROM prices ORDER BY ticker")
    now = datetime.now(UTC)
    done = case.warehouse.maintain(now=now, keep=timedelta(0))
    assert case.rows("SELECT ticker, _batch_id FROM prices ORDER BY ticker") == before
    assert done.files_after <= done.files_before
    assert counts(case.load("in/again.csv", HEADER + b"T1,,1,,2020-01-01\nT9,,1,,2020-01-01\n")) == (2, 1, 0, 1, 0)
