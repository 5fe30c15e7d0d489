"""Quarantine: replay after a fix, each record once."""

from __future__ import annotations

import pytest

from mlplatform.core.loads.landing import landing_line
from mlplatform.errors import ConflictError
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
