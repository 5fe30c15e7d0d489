"""The contract of the warehouse port: a batch is loaded exactly once, whoever else loads, and its receipt adds up."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.core.loads.landing import filtered_line, landing_line
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import ConflictError, NotFoundError
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case, case, counts, shared_ducklake
from mlplatform_tests.stations.crashing_store import EdgedStore

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]


def delivered(first: int, last: int) -> bytes:
    lines = [
        landing_line(f"{i:05d}", b'{"ticker":"T%d","change":null,"price":%d.5,"day":"2020-01-02"}' % (i, i))
        for i in range(first, last + 1)
    ]
    return b"\n".join(lines) + b"\n"


def test_a_csv_object_becomes_rows_with_provenance_and_a_receipt(case: Case) -> None:
    receipt = case.load("in/a.csv", HEADER + b"A,,1.5,7,2020-01-01\nB,-0.5,2,,2020-01-02\n")
    assert (receipt.outcome, counts(receipt)) == ("loaded", (2, 2, 0, 0, 0))
    assert (receipt.event_time_min, receipt.event_time_max, receipt.position) == ("2020-01-01", "2020-01-02", 1)
    found = case.rows(
        "SELECT ticker, change, price, volume, CAST(day AS varchar) AS day, _batch_id, _source, _offset FROM prices ORDER BY ticker"
    )
    assert found == [
        ("A", None, 1.5, 7, "2020-01-01", receipt.batch_id, "in/a.csv", None),
        ("B", -0.5, 2.0, None, "2020-01-02", receipt.batch_id, "in/a.csv", None),
    ]
    ledger = case.rows(
        "SELECT batch_id, key, arrived, loaded, outcome, content_sha256 FROM _ledger WHERE table_name = ?", "prices"
    )
    assert ledger == [(receipt.batch_id, "in/a.csv", 2, 2, "loaded", receipt.content_sha256)]
    assert case.warehouse.guard("prices", "objects/in/").last == "1"


def test_json_lines_and_parquet_and_gzip_load_the_same_rows(case: Case, tmp_path: Path) -> None:
    case.load(
        "in/a.jsonl",
        b'{"ticker":"A","price":1.5,"day":"2020-01-01"}\n{"ticker":"B","price":2,"change":null,"day":"2020-01-01"}\n',
    )
    pq.write_table(
        pa.table({"ticker": ["C"], "price": [1.0], "day": ["2020-01-01"], "volume": [3]}), tmp_path / "c.parquet"
    )
    case.load("in/c.parquet", tmp_path / "c.parquet")
    case.load("in/d.csv.gz", gzip.compress(HEADER + b"D,,4,,2020-01-01\n"))
    assert case.rows("SELECT ticker, price, volume FROM prices ORDER BY ticker") == [
        ("A", 1.5, None),
        ("B", 2.0, None),
        ("C", 1.0, 3),
        ("D", 4.0, None),
    ]


def test_replaying_a_batch_adds_nothing_and_gives_its_receipt_again(case: Case) -> None:
    plan = case.plan("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    first = case.warehouse.load(plan, PRICES, case.store)
    again = case.open().load(plan, PRICES, case.store)
    assert again == first
    assert case.count() == 1
    assert case.rows("SELECT count(*) AS n FROM _ledger")[0][0] == 1


def test_a_plan_behind_the_guard_is_refused_and_changes_nothing(case: Case) -> None:
    stale = case.plan("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    case.load("in/b.csv", HEADER + b"B,,1,,2020-01-01\n")
    with pytest.raises(ConflictError, match=r"in/a\.csv.*out of date"):
        case.warehouse.load(stale, PRICES, case.store)
    assert case.rows("SELECT ticker FROM prices") == [("B",)]


def test_an_overlapping_range_loads_only_what_lies_behind_the_guard(case: Case) -> None:
    shard = "stream/s/0"
    first = case.load("s/1.jsonl", delivered(1, 100), shard=shard, upto="00100")
    second = case.load("s/2.jsonl", delivered(51, 150), shard=shard, upto="00150")
    assert (counts(first), counts(second)) == ((100, 100, 0, 0, 0), (100, 50, 0, 50, 0))
    assert case.rows(
        "SELECT count(*) AS n, count(DISTINCT _offset) AS d, min(_offset) AS a, max(_offset) AS b FROM prices"
    ) == [(150, 150, "00001", "00150")]


def test_filtered_records_of_a_delivery_are_counted(case: Case) -> None:
    data = delivered(1, 2) + filtered_line("00003") + b"\n" + filtered_line("00004") + b"\n" + delivered(5, 5)
    receipt = case.load("s/1.jsonl", data, shard="stream/s/0", upto="00005")
    assert counts(receipt) == (5, 3, 0, 0, 2)


def test_load_is_refused_when_another_loader_moved_the_guard_while_it_was_prepared(case: Case) -> None:
    """Red without the compare-and-set of the guard row."""
    shard = "stream/s/0"
    schema = TableSchema("plain", PRICES.columns)
    case.warehouse.create(schema)
    mine = case.plan("s/mine.jsonl", delivered(1, 100), shard=shard, upto="00100", table="plain")
    theirs = case.plan("s/theirs.jsonl", delivered(1, 50), shard=shard, upto="00050", table="plain")
    other = case.open()
    calls = 0

    def meanwhile(_edge: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            other.load(theirs, schema, case.store)

    with pytest.raises(ConflictError, match="out of date"):
        case.warehouse.load(mine, schema, EdgedStore(case.store, meanwhile))
    assert calls >= 1
    assert case.rows("SELECT count(*) AS n, count(DISTINCT _offset) AS d FROM plain") == [(50, 50)]
    assert case.rows("SELECT count(*) AS n FROM _ledger") == [(1,)]


def test_load_is_refused_when_another_loader_claimed_the_shard_while_it_was_prepared(case: Case) -> None:
    """Red without the check of the epoch."""
    plan = case.plan("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    other = case.open()
    claims: list[int] = []

    def meanwhile(_edge: str) -> None:
        if not claims:
            claims.append(other.guard("prices", "objects/in/", claim=True).epoch)

    with pytest.raises(ConflictError, match="stale"):
        case.warehouse.load(plan, PRICES, EdgedStore(case.store, meanwhile))
    assert claims == [plan.epoch + 1]
    assert case.count() == 0
    assert case.rows("SELECT count(*) AS n FROM _ledger") == [(0,)]


def test_a_claimed_shard_accepts_the_loader_that_claimed_it(case: Case) -> None:
    claimed = case.warehouse.guard("prices", "objects/in/", claim=True)
    assert case.warehouse.guard("prices", "objects/in/", claim=True).epoch == claimed.epoch + 1
    assert case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n").epoch == claimed.epoch + 1
    assert case.warehouse.guard("prices", "objects/in/").epoch == claimed.epoch + 1


def test_an_object_that_is_gone_is_not_found_and_one_that_changed_is_a_conflict(case: Case) -> None:
    plan = case.plan("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    case.store.put("in/a.csv", HEADER + b"A,,2,,2020-01-01\n")
    with pytest.raises(ConflictError, match=r"in/a\.csv"):
        case.warehouse.load(plan, PRICES, case.store)
    case.store.delete("in/a.csv")
    with pytest.raises(NotFoundError, match=r"in/a\.csv"):
        case.warehouse.load(plan, PRICES, case.store)
    assert case.count() == 0


def test_rows_with_a_known_key_are_duplicates_within_a_batch_and_across(case: Case) -> None:
    first = case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\nA,,2,,2020-01-01\nA,,3,,2020-01-02\n")
    assert counts(first) == (3, 2, 0, 1, 0)
    second = case.load("in/b.csv", HEADER + b"A,,9,,2020-01-02\nB,,4,,2020-01-02\n")
    assert counts(second) == (2, 1, 0, 1, 0)
    assert case.rows("SELECT ticker, price FROM prices ORDER BY price") == [("A", 1.0), ("A", 3.0), ("B", 4.0)]


def test_unique_keys_that_may_be_null_are_equal_when_both_are(case: Case) -> None:
    schema = TableSchema("loose", (Column("a"), Column("b", "bigint")), unique_key=("a",))
    case.warehouse.create(schema)
    assert counts(case.load("l/a.csv", b"a,b\n,1\n,2\nx,3\n", schema=schema, shard="objects/l/")) == (3, 2, 0, 1, 0)
    assert counts(case.load("l/b.csv", b"a,b\n,4\ny,5\n", schema=schema, shard="objects/l/")) == (2, 1, 0, 1, 0)
    assert case.rows("SELECT b FROM loose ORDER BY b") == [(1,), (3,), (5,)]


def test_a_refused_object_gets_a_ledger_row_and_no_rows(case: Case) -> None:
    receipt = case.load(
        "in/a.csv", HEADER + b"A,,1,,2020-01-01\nB,,1,,2020-01-01\n", refuse="changed after it was loaded"
    )
    assert (receipt.outcome, receipt.reason, counts(receipt)) == (
        "refused",
        "changed after it was loaded",
        (2, 0, 0, 2, 0),
    )
    assert case.count() == 0
    assert case.warehouse.guard("prices", "objects/in/").last == "1"


def test_the_same_bytes_under_a_new_key_are_refused_if_the_plan_says_so(case: Case) -> None:
    data = HEADER + b"A,,1,,2020-01-01\n"
    case.load("in/a.csv", data)
    refused = case.load("in/b.csv", data, same_content="refuse")
    assert (refused.outcome, counts(refused)) == ("refused", (1, 0, 0, 1, 0))
    assert "in/a.csv" in refused.reason
    loaded = case.load("in/c.csv", data)
    assert (loaded.outcome, counts(loaded)) == ("loaded", (1, 0, 0, 1, 0))


def test_a_superseding_load_replaces_the_rows_of_the_earlier_batch(case: Case) -> None:
    first = case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\nB,,1,,2020-01-01\n")
    second = case.load("in/a.csv", HEADER + b"A,,2,,2020-01-01\n", supersedes=(first.batch_id,))
    assert counts(second) == (1, 1, 0, 0, 0)
    assert case.rows("SELECT ticker, price, _batch_id FROM prices") == [("A", 2.0, second.batch_id)]


def test_a_superseding_load_marks_what_waited_of_the_earlier_batch(case: Case) -> None:
    first = case.load("in/a.csv", HEADER + b"A,,x,,2020-01-01\n")
    other = case.load("in/b.csv", HEADER + b"B,,x,,2020-01-01\n")
    second = case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\nC,,x,,2020-01-01\n", supersedes=(first.batch_id,))
    waiting = case.rows("SELECT batch_id FROM _quarantine WHERE replayed_at IS NULL ORDER BY record_offset")
    assert waiting == [(other.batch_id,), (second.batch_id,)]


def test_a_superseding_object_that_is_unparseable_leaves_the_earlier_rows(case: Case) -> None:
    first = case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    second = case.load("in/a.csv", b"nonsense\n1\n", supersedes=(first.batch_id,))
    assert second.outcome == "unparseable"
    assert case.rows("SELECT ticker FROM prices") == [("A",)]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_appended_records_are_loaded_and_those_before_them_are_not(case: Case, suffix: str) -> None:
    def record(name: str) -> bytes:
        if suffix == "csv":
            return b'"%s\n,",,1,,2020-01-01\n' % name.encode()
        return b'{"ticker":"%s","price":1,"day":"2020-01-01"}\n' % name.encode()

    head = HEADER if suffix == "csv" else b""
    first = case.load(f"in/a.{suffix}", head + record("A") + record("B"))
    more = {"skip_rows": 2, "appends_to": first.content_sha256}
    refused = case.load(f"in/a.{suffix}", head + b"".join(map(record, "AXCD")), **more)
    assert (refused.outcome, counts(refused)) == ("refused", (4, 0, 0, 4, 0))
    second = case.load(f"in/a.{suffix}", head + b"".join(map(record, "ABCD")), **more)
    assert counts(second) == (4, 2, 0, 2, 0)
    assert sorted(t[:1] for (t,) in case.rows("SELECT ticker FROM prices")) == ["A", "B", "C", "D"]


def test_records_marked_as_replayed_in_the_load_that_replays_them_and_only_once(case: Case) -> None:
    bad = case.load("in/a.csv", HEADER + b"A,,-1,,2020-01-01\nB,,x,,2020-01-01\n")
    ids = [
        row[0]
        for row in case.rows(
            "SELECT quarantine_id FROM _quarantine WHERE batch_id = ? ORDER BY record_offset", bad.batch_id
        )
    ]
    case.load("r/1.csv", HEADER + b"A,,1,,2020-01-01\n", shard="replay/prices", replays=(ids[0],))
    assert case.rows("SELECT quarantine_id FROM _quarantine WHERE replayed_at IS NULL") == [(ids[1],)]
    with pytest.raises(ConflictError):
        case.load("r/2.csv", HEADER + b"Z,,1,,2020-01-01\n", shard="replay/prices", replays=tuple(ids))
    assert case.rows("SELECT ticker FROM prices") == [("A",)]


def test_positions_number_the_loads_of_a_table_without_gaps(case: Case) -> None:
    other = TableSchema("other", PRICES.columns)
    case.warehouse.create(other)
    case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    case.load("o/a.csv", HEADER + b"A,,1,,2020-01-01\n", schema=other, shard="objects/o/")
    case.load("in/b.csv", b"")
    case.load("s/1.jsonl", delivered(1, 2), shard="stream/s/0", upto="00002")
    assert case.rows("SELECT position FROM _ledger WHERE table_name = 'prices' ORDER BY position") == [(1,), (2,), (3,)]
    assert case.rows("SELECT position FROM _ledger WHERE table_name = 'other'") == [(1,)]


@pytest.mark.parametrize("name", ["staged_rows", "staged_quarantine", "known", "parts"])
def test_a_table_may_have_any_name_that_is_not_a_books(case: Case, name: str) -> None:
    schema = TableSchema(name, (Column("a", nullable=False), Column("b", "bigint")), unique_key=("a",))
    case.warehouse.create(schema)
    assert counts(case.load("n/a.csv", b"a,b\nx,1\ny,z\n", schema=schema, shard="objects/n/")) == (2, 1, 1, 0, 0)
    assert counts(case.load("n/b.csv", b"a,b\nx,1\nw,2\n", schema=schema, shard="objects/n/")) == (2, 1, 0, 1, 0)
    assert case.open().query(f"SELECT a FROM {name} ORDER BY a").to_pylist() == [{"a": "w"}, {"a": "x"}]
