"""Ingest: what arrives is planned from the guards, loaded once, and told."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest

from mlplatform.core.loads.landing import filtered_line, landing_key, landing_line
from mlplatform.core.loads.plan import Guard
from mlplatform.errors import ConflictError, ProfileError, StateError
from mlplatform.ports.warehouse import Warehouse
from mlplatform.stations.ingest import Ingest
from mlplatform_tests.conformance.warehouses import shared_ducklake
from mlplatform_tests.stations.crashing_store import EdgedStore
from mlplatform_tests.stations.landed_house import HEADER, STREAM, House, house, s, spec, told

__all__ = ["house", "shared_ducklake"]


def test_files_and_delivered_ranges_under_one_prefix_are_each_loaded_once(house: House) -> None:
    first, second = house.land(0, 3), house.land(3, 5)
    other = house.land(0, 2, shard="1")
    house.store.put("in/sample.csv", HEADER + b"S,1\n")
    house.store.put("base/b.csv", HEADER + b"B,1\n")
    station = house.ingest()
    assert sorted(told(station.run())) == sorted(
        [
            (first, "loaded", 3, 3),
            (second, "loaded", 2, 2),
            (other, "loaded", 2, 2),
            ("in/sample.csv", "loaded", 1, 1),
            ("base/b.csv", "loaded", 1, 1),
        ]
    )
    assert station.run() == []
    assert house.ingest().plan() == []


def test_a_turn_loads_one_object_at_least_and_leaves_the_rest_for_the_next(house: House) -> None:
    first, second = house.land(0, 3), house.land(3, 5)
    station = house.ingest()
    assert told(station.run(for_s=0)) == [(first, "loaded", 3, 3)]
    assert told(station.run(for_s=0)) == [(second, "loaded", 2, 2)]
    assert station.run(for_s=0) == []


def test_a_sample_dropped_again_under_the_same_or_a_new_key_adds_no_row(house: House) -> None:
    station = house.ingest()
    data = HEADER + b"".join(b"S%d,1\n" % i for i in range(10))
    house.store.put("in/sample.csv", data)
    assert sum(r.loaded for r in station.run()) == 10
    house.store.put("in/sample.csv", data)
    assert station.run() == []
    house.store.put("in/copy.csv", data)
    (refused,) = station.run()
    assert (refused.outcome, refused.loaded, refused.duplicates) == ("refused", 0, 10)
    assert "in/sample.csv" in refused.reason
    assert station.run() == []
    assert len(house.tickers()) == 10


def test_an_object_that_no_source_takes_is_told_once(house: House) -> None:
    station = house.ingest()
    house.store.put("in/notes.txt", b"hello")
    (receipt,) = station.run()
    assert (receipt.outcome, receipt.arrived, receipt.duplicates) == ("refused", 1, 1)
    assert "in/notes.txt" in receipt.reason
    assert ".csv" in receipt.reason
    assert station.run() == []
    assert "in/notes.txt" in station.evidence([receipt]).metadata["told"][0]


def test_a_range_that_overlaps_the_guard_doubles_no_row(house: House) -> None:
    station = house.ingest()
    house.land(0, 100)
    station.run()
    house.land(50, 150)
    (receipt,) = station.run()
    assert (receipt.arrived, receipt.loaded, receipt.duplicates) == (100, 50, 50)
    house.land(150, 160)
    station.run()
    assert len(house.tickers()) == len(set(house.tickers())) == 160


def test_a_missing_range_is_an_error_until_it_is_there(house: House) -> None:
    station = house.ingest()
    house.land(0, 10)
    station.run()
    house.land(20, 30)
    with pytest.raises(StateError, match=f"{s(10)} up to {s(20)}") as error:
        station.run()
    assert f"'{landing_key('in/', '0', s(10), s(20))}'" in str(error.value.next_step)
    house.land(10, 20)
    assert len(station.run()) == 2
    assert len(house.tickers()) == 30


def test_a_range_that_is_lost_for_good_is_passed_as_the_error_says(house: House) -> None:
    station = house.ingest()
    house.land(0, 10)
    house.land(20, 30)
    house.land(0, 5, shard="1")
    house.store.put("base/b.csv", HEADER + b"B,1\n")
    assert len(station.run()) == 3
    assert len(house.tickers()) == 16
    with pytest.raises(StateError) as error:
        station.run()
    step = str(error.value.next_step)
    (line,) = re.findall(r"one line there instead: (\{.*\}) \(", step)
    (key,) = re.findall(r"as '([^']+)';", step)
    house.store.put(key, line.encode())
    assert [(r.loaded, r.quarantined) for r in station.run()] == [(0, 1), (10, 0)]
    (record,) = house.quarantine().list()
    assert f"behind {s(10)} up to {s(20)} is lost" in record.reason
    assert station.run() == []


def test_an_older_copy_of_the_stream_is_refused_and_not_taken_for_loaded(house: House) -> None:
    house.land(0, 20)
    loaded = house.land(20, 60)
    house.ingest().run()
    house.store.delete(loaded)
    station = house.ingest()
    assert station.run() == []
    for last, upto in ((20, 40), (40, 70), (70, 80)):
        house.land(last, upto)
        with pytest.raises(StateError, match=f"loaded up to {s(60)}, the last time from '{loaded}'"):
            station.run()
    assert len(house.tickers()) == 60


def test_the_object_loaded_last_may_be_put_back_empty_where_the_stream_is_the_same(house: House) -> None:
    loaded = house.land(0, 60)
    house.ingest().run()
    house.store.delete(loaded)
    house.land(0, 70)
    with pytest.raises(StateError) as error:
        house.ingest().run()
    (key,) = re.findall(r"put an empty object back as '([^']+)'", str(error.value.next_step))
    house.store.put(key, b"")
    (receipt,) = house.ingest().run()
    assert (receipt.loaded, receipt.duplicates, len(house.tickers())) == (10, 60, 70)


def test_resume_after_commit_before_the_loader_knew(house: House) -> None:
    """The ledger is the truth: a loader that died behind its commit is followed by one that finds nothing to do."""
    house.land(0, 5)
    station = house.ingest()
    plans = station.plan()
    station.load(plans[0])
    assert house.ingest().plan() == []
    assert station.load(plans[0]).loaded == 5
    assert len(house.tickers()) == 5


def test_two_stations_in_turn_never_load_twice(house: House) -> None:
    one, two = house.ingest(), house.ingest()
    for number in range(3):
        house.land(number * 10, number * 10 + 10)
        house.store.put(f"base/{number}.csv", HEADER + b"F%d,1\n" % number)
        (one if number % 2 else two).run()
        assert one.run() == two.run() == []
    assert len(house.tickers()) == 33


def test_a_loader_whose_claim_was_taken_stops(house: House) -> None:
    old = house.ingest(claim=True)
    house.land(0, 5)
    old.run()
    new = house.ingest(claim=True)
    house.land(5, 10)
    assert [r.epoch for r in new.run()] == [2]
    house.land(10, 15)
    with pytest.raises(ConflictError, match="claimed by another loader"):
        old.run()
    assert len(new.run()) == 1
    assert len(house.tickers()) == 15


def test_a_look_when_nothing_is_new_lists_a_bounded_number_of_objects(house: House) -> None:
    for number in range(5):
        house.land(number * 10, number * 10 + 10)
    house.store.put("in/z.csv", HEADER + b"Z,1\n")
    listed: list[str] = []

    class Counting(EdgedStore):
        def list(self, prefix: str, *, after: str = "") -> Any:
            for info in super().list(prefix, after=after):
                listed.append(info.key)
                yield info

    station = house.ingest(store=Counting(house.store, lambda _: None))
    station.run()
    listed.clear()
    assert station.run() == []
    few = len(listed)
    for number in range(5, 15):
        house.land(number * 10, number * 10 + 10)
    station.run()
    listed.clear()
    assert station.run() == []
    assert len(listed) == few


def test_status_and_evidence_add_up(house: House) -> None:
    house.land(
        0,
        4,
        lines=[
            landing_line(s(1), b'{"ticker":"A","price":1}'),
            landing_line(s(2), b'{"ticker":"B","price":-1}'),
            filtered_line(s(3)),
            landing_line(s(4), b"[]"),
        ],
    )
    station = house.ingest()
    receipts = station.run()
    status = station.status()
    assert (status.arrived, status.loaded, status.quarantined, status.filtered, status.duplicates) == (4, 1, 2, 1, 0)
    assert (status.waiting_in_quarantine, status.due, status.receipts) == (2, 0, 1)
    evidence = station.evidence(receipts)
    assert [(c.name, c.passed, c.blocking) for c in evidence.checks] == [
        ("receipts_balance", True, True),
        ("quarantine_empty", False, False),
    ]
    assert (evidence.metadata["loaded"], evidence.metadata["waiting_in_quarantine"]) == (1, 2)


def test_a_table_that_others_load_is_not_loaded(house: House) -> None:
    with pytest.raises(ProfileError, match="theirs"):
        house.ingest(spec(existing="theirs", sources=[]))


class Overtaken:
    """The warehouse of a loader that another one overtakes as it reads a guard, one that is there or one that it makes."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._rival = house.ingest()
        self.queries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._house.warehouse, name)

    def guard(self, table: str, shard: str, *, claim: bool = False) -> Guard:
        self._rival.run()
        return self._house.warehouse.guard(table, shard, claim=claim)

    def query(self, sql: str, *more: Any, **options: Any) -> Any:
        self.queries += 1
        if "_guards" in sql:
            self._rival.run()
        return self._house.warehouse.query(sql, *more, **options)


def overtaken(house: House) -> tuple[Ingest, Overtaken]:
    warehouse = Overtaken(house)
    table = spec()
    return Ingest(cast(Warehouse, warehouse), house.store, table, system="test", streams={"ticks": STREAM}), warehouse


def test_what_another_loader_loads_between_ledger_and_guard_is_not_loaded_again(house: House) -> None:
    house.ingest().create()
    house.store.put("base/a.csv", HEADER + b"T1,1\nT2,2\n")
    slow, _ = overtaken(house)
    assert slow.plan() == []
    assert slow.run() == []
    assert house.tickers() == ["T1", "T2"]


def test_what_another_loader_loads_while_guards_that_are_there_are_read_is_not_loaded_again(house: House) -> None:
    slow, _ = overtaken(house)
    for name in ("a", "b", "c"):
        house.store.put(f"base/{name}.csv", HEADER + f"{name}1,1\n{name}2,2\n".encode())
        assert slow.run() == []
    assert house.tickers() == ["a1", "a2", "b1", "b2", "c1", "c2"]


def test_a_look_at_which_nothing_is_due_asks_the_warehouse_nothing(house: House) -> None:
    station, warehouse = overtaken(house)
    assert station.run() == []
    asked = warehouse.queries
    assert asked > 0
    assert station.run() == []
    assert warehouse.queries == asked
    house.store.put("base/a.csv", HEADER + b"T1,1\n")
    assert station.run() == []
    assert warehouse.queries > asked
    assert house.tickers() == ["T1"]
