"""A data subject's rows leave a table, its quarantine and the objects they came from; nobody else's do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mlplatform.core.loads.erasure import Erased
from mlplatform.core.loads.subject import Subject
from mlplatform.errors import NotFoundError
from mlplatform.spec.table import TableSpec
from mlplatform.stations.erasure import Place, TableErasure
from mlplatform.stations.held_objects import UNLOADED
from mlplatform_tests.conformance.warehouses import shared_ducklake
from mlplatform_tests.stations.landed_house import HEADER, STREAM, House, house, spec

__all__ = ["house", "shared_ducklake"]

NOW = datetime(2026, 3, 1, tzinfo=UTC)
T2 = Subject("ticker", "T2")


def erasure(house: House, table: TableSpec | None = None) -> TableErasure:
    return TableErasure(house.warehouse, house.store, table or spec(), system="test", streams={"ticks": STREAM})


def erase(house: House, subject: Subject = T2) -> Erased:
    return erasure(house).erase(subject, name="e", reason="asked for", now=NOW)


def read(house: House, key: str) -> bytes:
    with house.store.open(key) as stream:
        return stream.read()


def test_a_streams_landing_object_keeps_its_name_and_loses_the_line(house: House) -> None:
    key = house.land(0, 3)
    house.ingest().run()
    assert erasure(house).places(T2) == [
        Place("table ticks_table", 1, "rows"),
        Place("landing objects of ticks_table", 1, "objects"),
    ]
    assert erase(house) == Erased(1, 0)
    assert house.tickers() == ["T1", "T3"]
    assert b"T2" not in read(house, key)
    assert read(house, key).count(b"_filtered") == 1
    assert erasure(house).places(T2) == []


def test_the_stream_goes_on_behind_an_object_that_was_changed(house: House) -> None:
    house.land(0, 3)
    house.ingest().run()
    erase(house)
    house.land(3, 5)
    (receipt,) = house.ingest().run()
    assert receipt.loaded == 2
    assert house.tickers() == ["T1", "T3", "T4", "T5"]


def test_a_file_that_was_loaded_goes_and_the_rows_of_others_stay(house: House) -> None:
    house.store.put("base/a.csv", HEADER + b"T1,1\nT2,2\n")
    house.store.put("base/b.csv", HEADER + b"T3,3\n")
    house.ingest().run()
    erase(house)
    assert [info.key for info in house.store.list("base/")] == ["base/b.csv"]
    assert house.tickers() == ["T1", "T3"]
    assert house.ingest().run() == []


def test_a_file_that_was_not_loaded_yet_stays_and_is_told(house: House) -> None:
    house.ingest().run()
    house.store.put("base/a.csv", HEADER + b"T1,1\nT2,2\n")
    waiting = Place("landing objects of ticks_table", 1, "objects", UNLOADED.kept, UNLOADED.next_step, ("base/a.csv",))
    assert erasure(house).places(T2) == [waiting]
    erase(house)
    house.ingest().run()
    assert house.tickers() == ["T1", "T2"]
    erase(house)
    assert house.tickers() == ["T1"]


def test_a_file_dropped_twice_goes_under_both_names(house: House) -> None:
    house.store.put("base/a.csv", HEADER + b"T2,2\n")
    house.ingest().run()
    house.store.put("base/again.csv", HEADER + b"T2,2\n")
    house.ingest().run()
    erase(house)
    assert list(house.store.list("base/")) == []


def test_quarantined_records_of_the_subject_go_and_those_of_others_wait_on(house: House) -> None:
    house.store.put("base/a.csv", HEADER + b"T2,no price\nT1,no price\nT2,1,too,many\n")
    house.ingest().run()
    assert erase(house) == Erased(0, 2)
    assert [record.raw for record in house.quarantine().list()] == [b"T1,no price"]


def test_an_erasure_that_was_killed_between_its_steps_is_simply_asked_for_again(house: House) -> None:
    house.store.put("base/a.csv", HEADER + b"T1,1\nT2,2\n")
    house.ingest().run()
    house.store.delete("base/a.csv")
    assert erase(house) == Erased(1, 0)
    assert erase(house) == Erased(0, 0)
    assert house.tickers() == ["T1"]


def test_compressed_and_parquet_objects_are_searched_too(house: House) -> None:
    import gzip
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    table: Any = spec(
        sources=[{"prefix": "base/", "suffix": ".csv"}, {"prefix": "columns/", "format": {"type": "parquet"}}]
    )
    sink = io.BytesIO()
    pq.write_table(pa.table({"ticker": ["T2"], "price": [2.0]}), sink)
    house.store.put("columns/a.parquet", sink.getvalue())
    house.store.put("base/a.csv.gz", gzip.compress(HEADER + b"T2,4\n"))
    house.ingest(table).run()
    erasure(house, table).erase(T2, name="e", reason="", now=NOW)
    assert [*house.store.list("base/"), *house.store.list("columns/")] == []
    assert house.tickers() == []


def test_a_column_that_the_table_lacks_is_named(house: House) -> None:
    house.land(0, 1)
    house.ingest().run()
    with pytest.raises(NotFoundError, match="name"):
        erasure(house).places(Subject("name", "T2"))
