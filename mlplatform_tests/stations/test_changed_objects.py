"""Ingest: an object that changes after it was loaded is refused, replaced or appended to."""

from __future__ import annotations

import gzip

import pytest

from mlplatform.errors import ConflictError
from mlplatform_tests.conformance.warehouses import shared_ducklake
from mlplatform_tests.stations.landed_house import HEADER, House, house, spec

__all__ = ["house", "shared_ducklake"]


@pytest.mark.parametrize(
    ("policy", "tickers", "outcome"),
    [("refuse", ["A"], "refused"), ("replace", ["A", "B"], "loaded"), ("append", ["A", "B"], "loaded")],
)
def test_a_changed_object_follows_the_policy(house: House, policy: str, tickers: list[str], outcome: str) -> None:
    station = house.ingest(spec(on_changed_object=policy))
    house.store.put("base/a.csv", HEADER + b"A,1\n")
    station.run()
    house.store.put("base/a.csv", HEADER + b"A,1\nB,2\n")
    (receipt,) = station.run()
    assert (receipt.outcome, house.tickers()) == (outcome, tickers)
    assert receipt.balanced()
    assert station.run() == []
    assert house.ingest(spec(on_changed_object=policy)).run() == []


def test_replace_takes_back_an_object_that_returns_to_its_first_content(house: House) -> None:
    station = house.ingest(spec(on_changed_object="replace"))
    for row in (b"A,1\n", b"B,2\n", b"A,1\n"):
        house.store.put("base/a.csv", HEADER + row)
        station.run()
    assert house.tickers() == ["A"]


def test_replace_takes_what_was_replayed_from_the_old_object_and_what_waits(house: House) -> None:
    loose = spec(on_changed_object="replace", columns=[{"name": "ticker"}, {"name": "price", "type": "double"}])
    strict = spec(on_changed_object="replace")
    house.store.put("base/other.csv", HEADER + b"O,-1\n")
    house.store.put("base/a.csv", HEADER + b"A,1\nB,-2\nC,-3\nD,x\n")
    house.ingest(strict).run()
    assert house.quarantine(strict).replay().quarantined == 4
    done = house.quarantine(loose).replay()
    assert (done.loaded, done.quarantined) == (3, 1)
    assert house.tickers() == ["A", "B", "C", "O"]
    house.store.put("base/a.csv", HEADER + b"A,7\n")
    (receipt,) = house.ingest(loose).run()
    assert (receipt.outcome, receipt.loaded) == ("loaded", 1)
    assert house.tickers() == ["A", "O"]
    assert house.quarantine(loose).count() == 0
    assert house.ingest(loose).run() == []


def test_a_replay_beside_the_replacement_of_its_object_leaves_no_old_row(house: House) -> None:
    table = spec(on_changed_object="replace")
    fixed = spec(on_changed_object="replace", columns=[{"name": "ticker"}, {"name": "price", "type": "double"}])
    house.store.put("base/a.csv", HEADER + b"A,1\nB,-2\n")
    house.ingest(table).run()
    house.store.put("base/a.csv", HEADER + b"C,1\n")
    station = house.ingest(table)
    (plan,) = station.plan()
    assert house.quarantine(fixed).replay().loaded == 1
    with pytest.raises(ConflictError, match="out of date"):
        station.load(plan)
    station.run()
    assert house.tickers() == ["C"]


def test_append_refuses_an_object_whose_old_records_changed(house: House) -> None:
    table = spec(on_changed_object="append")
    station = house.ingest(table)
    house.store.put("base/a.csv", HEADER + b"A,1\nB,2")
    station.run()
    for changed in (b"A,9\nB,2\nC,3\n", b"A,1\nB,25\nC,3\n", b"A,1\n"):
        house.store.put("base/a.csv", HEADER + changed)
        (receipt,) = station.run()
        assert (receipt.outcome, receipt.loaded) == ("refused", 0)
        assert "base/a.csv" in receipt.reason
        assert "2 records" in receipt.reason
        assert station.run() == []
    house.store.put("base/a.csv", HEADER + b"A,1\nB,2\nC,3\n")
    (receipt,) = station.run()
    assert (receipt.outcome, receipt.loaded, receipt.duplicates) == ("loaded", 1, 2)
    assert house.tickers() == ["A", "B", "C"]


def test_append_refuses_what_cannot_be_shown_to_have_only_grown(house: House) -> None:
    table = spec(on_changed_object="append")
    station = house.ingest(table)
    for rows in (b"A,1\n", b"A,1\nB,2\n"):
        house.store.put("base/a.csv.gz", gzip.compress(HEADER + rows, mtime=0))
        (receipt,) = station.run()
    assert (receipt.outcome, receipt.duplicates) == ("refused", 2)
    assert "plain CSV or JSON lines" in receipt.reason
    assert house.tickers() == ["A"]
