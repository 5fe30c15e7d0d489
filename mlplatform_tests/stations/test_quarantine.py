"""Quarantine: replay after a fix, each record once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlplatform.core.capture.masking import Masking
from mlplatform.core.loads.landing import landing_line
from mlplatform.errors import ConflictError, DataError, NotFoundError
from mlplatform_tests.conformance.warehouses import shared_ducklake
from mlplatform_tests.stations.landed_house import HEADER, House, house, s, spec

__all__ = ["house", "shared_ducklake"]


def test_replay_after_a_fix_loads_each_record_once(house: House) -> None:
    house.store.put("in/a.csv", HEADER + b'"A,1",-1\nB,2\n"C\nD",-3\n')
    house.land(0, 2, lines=[landing_line(s(1), b'{"ticker":"E","price":-4}'), landing_line(s(2), b'{"ticker":"F"}')])
    house.ingest().run()
    quarantine = house.quarantine()
    assert (quarantine.count(), house.tickers()) == (3, ["B", "F"])
    unfixed = quarantine.replay()
    assert (unfixed.records, unfixed.loaded, unfixed.quarantined) == (3, 0, 3)
    columns = [{"name": "ticker", "nullable": False}, {"name": "price", "type": "double"}]
    fixed = house.quarantine(spec(columns=columns))
    (first, *others) = fixed.list()
    done = fixed.replay([first.quarantine_id])
    assert (done.records, done.loaded, fixed.count()) == (1, 1, 2)
    with pytest.raises(ConflictError, match=first.quarantine_id):
        fixed.replay([first.quarantine_id])
    assert fixed.replay().loaded == len(others) == 2
    assert fixed.replay().records == 0
    assert house.tickers() == ["A,1", "B", "C\nD", "E", "F"]
    assert len(fixed.list(replayed=True)) == 6
    assert house.ingest(spec(columns=columns)).run() == []


def test_an_object_quarantined_whole_is_loaded_when_it_is_put_again_repaired(house: House) -> None:
    house.store.put("base/a.csv", b"ticker,prize\nA,1\n")
    station = house.ingest()
    (bad,) = station.run()
    assert bad.outcome == "unparseable"
    house.store.put("base/a.csv", HEADER + b"A,1\n")
    (good,) = station.run()
    assert (good.outcome, good.loaded) == ("loaded", 1)
    assert house.quarantine().count() == 0
    assert house.quarantine().replay().records == 0
    assert house.tickers() == ["A"]


def test_an_object_quarantined_whole_is_replayed_after_the_schema_was_fixed_and_not_loaded_again(house: House) -> None:
    house.store.put("base/a.csv", b"ticker,prize\nA,1\n")
    house.ingest().run()
    fixed = spec(columns=[{"name": "ticker"}, {"name": "price", "type": "double"}, {"name": "prize", "type": "double"}])
    done = house.quarantine(fixed).replay()
    assert (done.records, done.loaded) == (1, 1)
    assert house.ingest(fixed).run() == []
    assert house.tickers() == ["A"]


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NULLABLE = [{"name": "ticker", "nullable": False}, {"name": "price", "type": "double"}]


def test_an_object_that_is_gone_holds_up_no_other_record(house: House) -> None:
    house.store.put("base/a.csv", b"ticker,prize\nA,1\n")
    house.store.put("in/b.csv", HEADER + b"B,-2\n")
    house.ingest().run()
    house.store.delete("base/a.csv")
    fixed = house.quarantine(spec(columns=NULLABLE))
    (whole,) = (record for record in fixed.list() if not record.offset)
    done = fixed.replay()
    assert (done.records, done.loaded, fixed.count(), house.tickers()) == (1, 1, 1, ["B"])
    assert list(done.skipped) == [whole.quarantine_id]
    assert "Object 'base/a.csv', quarantined whole, is gone" in done.skipped[whole.quarantine_id]
    with pytest.raises(NotFoundError, match=r"is gone from the object store"):
        fixed.replay([whole.quarantine_id])
    house.store.put("base/a.csv", HEADER + b"A,1\n")
    assert (fixed.replay().loaded, fixed.count()) == (1, 0)


def test_a_record_that_no_source_takes_any_more_holds_up_no_other(house: House) -> None:
    house.store.put("in/b.csv", HEADER + b"B,-2\n")
    house.land(0, 1, lines=[landing_line(s(1), b'{"ticker":"E","price":-4}')])
    house.ingest().run()
    moved = [
        source
        for source in spec(columns=NULLABLE).model_dump()["sources"]
        if not (source["prefix"] == "in/" and source["stream"] is None)
    ]
    fixed = house.quarantine(spec(columns=NULLABLE, sources=moved))
    (line,) = (record for record in fixed.list() if record.source == "in/b.csv")
    done = fixed.replay()
    assert (done.loaded, list(done.skipped)) == (1, [line.quarantine_id])
    with pytest.raises(DataError, match=r"takes 'in/b\.csv' any more"):
        fixed.replay([line.quarantine_id])


def test_discarded_records_are_gone_for_good_and_the_book_says_so(house: House) -> None:
    house.store.put("in/a.csv", HEADER + b"A,-1\nB,-2\nC,-3\nD,4\n")
    house.ingest().run()
    quarantine = house.quarantine()
    first, *_ = quarantine.list()
    assert quarantine.discard([first.quarantine_id, first.quarantine_id], reason="a test", now=NOW) == 1
    assert quarantine.count() == 2
    with pytest.raises(NotFoundError, match=first.quarantine_id):
        quarantine.discard([first.quarantine_id], reason="a test", now=NOW)
    assert quarantine.discard(reason="all of it", now=NOW) == 2
    assert (quarantine.list(replayed=True), quarantine.discard(reason="nothing", now=NOW)) == ([], 0)
    book = house.warehouse.query("SELECT reason, rows, records FROM _erasures ORDER BY records").to_pylist()
    assert book == [{"reason": "a test", "rows": 0, "records": 1}, {"reason": "all of it", "rows": 0, "records": 2}]
    assert house.tickers() == ["D"]


def test_a_replayed_record_is_not_discarded(house: House) -> None:
    house.store.put("in/a.csv", HEADER + b"A,-1\n")
    house.ingest().run()
    (record,) = house.quarantine().list()
    house.quarantine().replay()
    with pytest.raises(ConflictError, match=record.quarantine_id):
        house.quarantine().discard([record.quarantine_id], reason="a test", now=NOW)


def test_an_object_whose_record_was_discarded_is_loaded_when_it_is_put_again_repaired(house: House) -> None:
    house.store.put("base/a.csv", b"ticker,prize\nA,1\n")
    station = house.ingest()
    station.run()
    house.quarantine().discard(reason="it comes again", now=NOW)
    house.store.put("base/a.csv", HEADER + b"A,1\n")
    (good,) = station.run()
    assert (good.outcome, house.tickers()) == ("loaded", ["A"])


def test_what_broke_a_rule_of_its_load_is_masked_in_a_listing_too(house: House) -> None:
    columns = [
        {"name": "ticker", "nullable": False, "personal": True},
        {"name": "day", "type": "date"},
        {"name": "seen", "type": "timestamp"},
        {"name": "price", "type": "double", "minimum": 0},
    ]
    table = spec(columns=columns, event_time="seen", future_s=60)
    lines = [
        b"A,123-45-6789,2020-01-01 10:00:00,1",
        b"B,2020-01-01,2999-01-01 10:00:00,1",
        b"C,2020-01-01,2020-01-01 10:00:00,-5",
    ]
    house.store.put("base/a.csv", b"ticker,day,seen,price\n" + b"\n".join(lines))
    house.ingest(table).run()
    quarantine = house.quarantine(table)
    assert [r.raw.decode() for r in quarantine.masked(quarantine.list(), Masking())] == [
        "•••,•••,2020-01-01 10:00:00,1",
        "•••,2020-01-01,•••,1",
        "•••,2020-01-01,2020-01-01 10:00:00,•••",
    ]
