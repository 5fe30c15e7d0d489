"""Ingest: what arrives is planned from the guards, loaded once, and told."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.core.loads.landing import filtered_line, landing_key, landing_line
from mlplatform.core.loads.plan import Receipt
from mlplatform.errors import ConflictError, ProfileError, StateError
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.ingest import Ingest
from mlplatform.stations.quarantine import Quarantine
from mlplatform_tests.conformance.warehouses import SharedDuckLake, shared_ducklake
from mlplatform_tests.stations.crashing_store import EdgedStore

__all__ = ["shared_ducklake"]

STREAM = StreamSpec.model_validate({"name": "ticks", "partition_key": "ticker", "delivery": {"prefix": "in/"}})
HEADER = b"ticker,price\n"


def spec(**more: Any) -> TableSpec:
    base: dict[str, Any] = {
        "name": "ticks_table",
        "columns": [{"name": "ticker", "nullable": False}, {"name": "price", "type": "double", "minimum": 0}],
        "sources": [{"stream": "ticks"}, {"prefix": "in/", "suffix": ".csv"}, {"prefix": "base/", "suffix": ".csv"}],
    }
    return TableSpec.model_validate({**base, **more})


@dataclass
class House:
    warehouse: DuckLakeWarehouse
    store: DirectoryObjectStore

    def ingest(self, table: TableSpec | None = None, *, claim: bool = False, store: Any = None) -> Ingest:
        return Ingest(
            self.warehouse, store or self.store, table or spec(), system="test", streams={"ticks": STREAM}, claim=claim
        )

    def quarantine(self, table: TableSpec | None = None) -> Quarantine:
        return Quarantine(self.warehouse, self.store, table or spec(), system="test", streams={"ticks": STREAM})

    def land(self, last: int, upto: int, *, shard: str = "0", lines: list[bytes] | None = None) -> str:
        made = lines or [landing_line(s(i), b'{"ticker":"T%d","price":%d}' % (i, i)) for i in range(last + 1, upto + 1)]
        key = landing_key("in/", shard, s(last) if last else "", s(upto))
        self.store.put(key, b"\n".join(made))
        return key

    def tickers(self) -> list[str]:
        return [row["ticker"] for row in self.warehouse.query("SELECT ticker FROM ticks_table ORDER BY 1").to_pylist()]


def s(number: int) -> str:
    return f"{number:020d}"


@pytest.fixture
def house(shared_ducklake: SharedDuckLake, tmp_path: Path) -> House:
    return House(shared_ducklake.empty(), DirectoryObjectStore(tmp_path / "objects"))


def told(receipts: list[Receipt]) -> list[tuple[str, str, int, int]]:
    return [(r.key, r.outcome, r.arrived, r.loaded) for r in receipts]


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
    with pytest.raises(StateError) as error:
        station.run()
    assert len(house.tickers()) == 16
    step = str(error.value.next_step)
    (line,) = re.findall(r"one line there instead: (\{.*\}) \(", step)
    (key,) = re.findall(r"as '([^']+)';", step)
    house.store.put(key, line.encode())
    assert [(r.loaded, r.quarantined) for r in station.run()] == [(0, 1), (10, 0)]
    (record,) = house.quarantine().list()
    assert f"behind {s(10)} up to {s(20)} is lost" in record.reason
    assert station.run() == []


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
