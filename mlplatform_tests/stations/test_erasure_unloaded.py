"""What an erasure does with objects that the table does not hold: nobody else's rows are lost, and the subject is told."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from mlplatform.core.loads.erasure import Erased
from mlplatform.core.loads.subject import Subject
from mlplatform.spec.table import TableSpec
from mlplatform.stations.erasure import Place, TableErasure
from mlplatform.stations.held_objects import NOT_TAKEN
from mlplatform_tests.conformance.warehouses import shared_ducklake
from mlplatform_tests.stations.landed_house import HEADER, STREAM, House, house, spec

__all__ = ["house", "shared_ducklake"]

NOW = datetime(2026, 3, 1, tzinfo=UTC)
T2 = Subject("ticker", "T2")
HUNDRED = HEADER + b"".join(b"T%d,%d\n" % (i, i) for i in range(1, 100)) + b'T100,"100\n'


def erasure(house: House, table: TableSpec | None = None) -> TableErasure:
    return TableErasure(house.warehouse, house.store, table or spec(), system="test", streams={"ticks": STREAM})


def erase(house: House, table: TableSpec | None = None, subject: Subject = T2) -> Erased:
    return erasure(house, table).erase(subject, name="e", reason="asked for", now=NOW)


def keys(house: House) -> list[str]:
    return [info.key for info in house.store.list("base/")]


def staying(house: House, table: TableSpec | None = None) -> dict[str, tuple[str, ...]]:
    """Why places stay, and which objects they are."""
    return {place.kept: place.names for place in erasure(house, table).places(T2) if place.names}


def test_an_object_quarantined_whole_stays_with_its_record_and_both_are_told(house: House) -> None:
    house.store.put("base/a.csv", HUNDRED)
    (receipt,) = house.ingest().run()
    assert receipt.outcome == "unparseable"
    assert erase(house) == Erased(0, 0)
    assert keys(house) == ["base/a.csv"]
    assert house.quarantine().count() == 1
    objects, record = erasure(house).places(T2)
    assert (objects.what, objects.count, objects.names) == ("landing objects of ticks_table", 1, ("base/a.csv",))
    assert "quarantined whole" in objects.kept
    assert "run the erasure again" in objects.next_step
    assert (record.what, record.count) == ("quarantine of ticks_table", 1)
    assert record.kept


def test_an_object_that_was_corrected_is_loaded_and_then_goes(house: House) -> None:
    house.store.put("base/a.csv", HUNDRED)
    house.ingest().run()
    erase(house)
    house.store.put("base/a.csv", HUNDRED.replace(b'"', b""))
    house.ingest().run()
    assert erase(house) == Erased(1, 1)
    assert len(house.tickers()) == 99
    assert keys(house) == []
    assert erasure(house).places(T2) == []


def test_a_changed_object_that_was_refused_stays_and_is_told(house: House) -> None:
    house.store.put("base/a.csv", HEADER + b"T1,1\nT2,2\n")
    house.ingest().run()
    house.store.put("base/a.csv", HEADER + b"T1,1\nT2,2\nT3,3\n")
    house.ingest().run()
    assert erase(house) == Erased(1, 0)
    assert keys(house) == ["base/a.csv"]
    assert house.tickers() == ["T1"]
    ((why, names),) = staying(house).items()
    assert "refused" in why
    assert names == ("base/a.csv",)


def test_under_replace_an_earlier_state_put_back_is_not_taken_for_loaded(house: House) -> None:
    table = spec(on_changed_object="replace")
    early = HEADER + b"T1,1\nT2,2\n"
    for content in (early, HEADER + b"T2,2\n"):
        house.store.put("base/a.csv", content)
        house.ingest(table).run()
    house.store.put("base/a.csv", early)
    assert erase(house, table) == Erased(1, 0)
    house.ingest(table).run()
    assert house.tickers() == ["T1", "T2"]


def test_what_cannot_be_read_as_declared_is_searched_as_text_and_told(house: House) -> None:
    naming = {
        "base/broken.csv.gz": gzip.compress(HEADER + b"T1,1\nT2,2\n" * 500)[:-9],
        "base/headless.csv": b"T1,1\nT2,2\n",
        "base/notes.txt": b"called T2 on Monday\n",
        "base/other.csv": b"symbol,price\nT1,1\nT2,2\n",
        "base/wide.csv": (HEADER + b"T1,1\nT2,2\n").decode().encode("utf-16"),
        "base/wrong.csv.gz": gzip.compress(b"symbol,price\nT1,1\nT2,2\n"),
    }
    for key, data in naming.items():
        house.store.put(key, data)
        house.store.put(f"base/not-{key.removeprefix('base/')}", data.replace(b"T2", b"T7") if b"T2" in data else b"T7")
    house.ingest().run()
    told = staying(house)
    assert sorted(key for names in told.values() for key in names) == sorted(naming)
    assert told[NOT_TAKEN.kept] == ("base/notes.txt",)
    erase(house)
    assert len(keys(house)) == 2 * len(naming)
    assert house.tickers() == []


def test_what_nothing_can_search_is_told_as_that(house: House) -> None:
    house.store.put("base/a.csv.gz", gzip.compress(HEADER)[:10] + b"\xff" * 40)
    house.ingest().run()
    (place,) = erasure(house).places(T2)
    assert (place.names, place.next_step) == (("base/a.csv.gz",), "")
    assert "cannot be searched" in place.kept


def test_the_record_of_a_compressed_object_is_read_and_goes_once_the_object_is_gone(house: House) -> None:
    house.store.put("base/a.csv.gz", gzip.compress(b"symbol,price\nT1,1\nT2,2\n"))
    house.ingest().run()
    house.store.delete("base/a.csv.gz")
    assert erase(house) == Erased(0, 1)
    assert house.quarantine().count() == 0


def test_a_loaded_object_with_a_broken_record_that_names_the_subject_goes_with_the_record(house: House) -> None:
    house.store.put("base/a.csv", HEADER + b"T1,1\nT2,2,too many\n")
    house.ingest().run()
    assert erase(house) == Erased(0, 1)
    assert keys(house) == []
    assert house.tickers() == ["T1"]


def test_a_file_that_another_table_takes_is_not_told_as_anybodys(house: House) -> None:
    lines = spec(name="lines", sources=[{"prefix": "base/", "suffix": ".jsonl", "format": {"type": "jsonl"}}])
    house.store.put("base/a.jsonl", b'{"ticker": "T2", "price": 1}\n')
    house.ingest().run()
    found = TableErasure(house.warehouse, house.store, spec(), system="test", streams={"ticks": STREAM}, others=[lines])
    assert found.places(T2) == []


def test_a_long_field_is_read_like_any_other(house: House) -> None:
    table = spec(columns=[{"name": "ticker", "nullable": False}, {"name": "note"}])
    house.store.put("base/a.csv", b'ticker,note\nT1,"' + b"x" * 200_000 + b'"\nT2,y\n')
    house.store.put("base/b.csv", b"ticker,note\nT3," + b"T2 " * 60_000 + b"\n")
    house.ingest(table).run()
    assert house.tickers() == ["T1", "T2", "T3"]
    assert erase(house, table) == Erased(1, 0)
    assert keys(house) == ["base/b.csv"]


def test_a_number_is_found_however_it_is_written(house: House) -> None:
    table = spec(columns=[{"name": "ticker", "type": "bigint"}, {"name": "price", "type": "double"}])
    for n, written in enumerate([b"4711", b"4711.0", b"+4711", b" 4711", b"04711"]):
        house.store.put(f"base/a{n}.csv", HEADER + written + b",1\n")
        house.store.put(f"base/b{n}.csv", HEADER + b"1,1\n" + written + b",no price\n")
    house.store.put("base/c.csv", HEADER + b"47110,1\n")
    house.ingest(table).run()
    assert erase(house, table, Subject("ticker", "4711")) == Erased(5, 5)
    assert house.tickers() == [1, 1, 1, 1, 1, 47110]
    assert keys(house) == ["base/c.csv"]


@pytest.mark.parametrize(("kind", "asked"), [("double", "4711"), ("bigint", "4711.0"), ("decimal(8,2)", "4711")])
def test_the_value_asked_for_is_of_the_columns_type_too(house: House, kind: str, asked: str) -> None:
    table = spec(columns=[{"name": "ticker", "type": kind}, {"name": "price", "type": "double"}])
    house.store.put("base/a.csv", HEADER + b"4711,1\n4712,2\n")
    house.ingest(table).run()
    assert erasure(house, table).places(Subject("ticker", asked)) == [
        Place("table ticks_table", 1, "rows"),
        Place("landing objects of ticks_table", 1, "objects"),
    ]
    assert erase(house, table, Subject("ticker", asked)) == Erased(1, 0)


def test_a_loaded_object_whose_source_is_gone_from_the_yaml_is_found_by_the_ledger(house: House) -> None:
    house.store.put("base/a.csv", HEADER + b"T1,1\nT2,2\n")
    house.ingest().run()
    assert erase(house, spec(sources=[{"stream": "ticks"}])) == Erased(1, 0)
    assert keys(house) == []
    assert house.tickers() == ["T1"]


def test_what_a_stream_that_is_gone_from_the_yaml_delivered_is_found_by_the_ledger(house: House) -> None:
    key = house.land(0, 3)
    house.ingest().run()
    assert erase(house, spec(sources=[{"prefix": "base/", "suffix": ".csv"}])) == Erased(1, 0)
    assert house.store.head(key) is None
    assert house.tickers() == ["T1", "T3"]


def test_a_replay_that_was_killed_before_it_loaded_leaves_a_copy_that_goes(house: House) -> None:
    house.store.put("base/a.csv", HEADER + b"T1,no price\nT2,no price\n")
    house.ingest().run()
    house.store.put("_replay/test/ticks_table/b1/base/copy.csv", HEADER + b"T1,no price\nT2,no price\n")
    assert erase(house) == Erased(0, 1)
    assert list(house.store.list("_replay/")) == []
    assert [record.raw for record in house.quarantine().list()] == [b"T1,no price"]
    assert erasure(house).places(T2) == []


def test_captured_rows_are_compared_as_the_table_declares_the_column(house: House) -> None:
    columns = [{"name": "inference_id"}, {"name": "row_number", "type": "bigint"}]
    columns += [{"name": name, "type": "json"} for name in ("features", "keys")]
    source = {"prefix": "base/", "suffix": ".jsonl", "format": {"type": "jsonl"}}
    table = spec(columns=columns, sources=[source])
    line = b'{"inference_id": "i", "row_number": %d, "features": {"customer": %b}, "keys": {}}\n'
    rows = [b"4711", b"4711.0", b'"4711"', b'"mask"', b"47110", b'"other"', b"null"]
    house.store.put("base/a.jsonl", b"".join(line % (n, value) for n, value in enumerate(rows)))
    house.store.put("base/b.jsonl", line % (9, b"14711"))
    house.ingest(table).run()
    subject = Subject("customer", "4711", types=frozenset({"bigint"}), masks=frozenset({"mask"}))
    captured = TableErasure(house.warehouse, house.store, table, system="test", streams={}, capture=True)
    assert [(place.count, place.unit) for place in captured.places(subject)] == [(4, "rows"), (1, "objects")]
    assert captured.erase(subject, name="e", reason="", now=NOW) == Erased(4, 0)
    left = house.warehouse.query("SELECT row_number FROM ticks_table ORDER BY 1").to_pylist()
    assert [row["row_number"] for row in left] == [4, 5, 6, 9]
    assert keys(house) == ["base/b.jsonl"]
