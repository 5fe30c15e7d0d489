"""Delivery: what is due, what lands, and that crashes and rivals change nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.core.loads.landing import claim_key, parse_landing_key
from mlplatform.errors import ConflictError, PlatformError, SpecError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.stream import Record
from mlplatform.spec.stream import DeliverySpec, StreamSpec
from mlplatform.stations.delivery import Delivery
from mlplatform_tests.conformance.streams import Clock
from mlplatform_tests.stations.crashing_store import Crash, EdgedStore
from mlplatform_tests.stations.landed import assert_delivered_once, landed

PREFIX = "prices/stream/"
MIB = 1024 * 1024
HERE = "mlplatform_tests.stations.test_delivery"


def spec(shards: int = 1, transform: str | None = None, max_size_mib: float = 1.0) -> StreamSpec:
    delivery = DeliverySpec(prefix=PREFIX, max_age_s=10, max_size_mib=max_size_mib, transform=transform)
    return StreamSpec(name="prices", partition_key="k", shards=shards, retention_h=24, delivery=delivery)


class World:
    """A stream and a store on disk; `delivery()` is a deliverer that has just started."""

    def __init__(self, folder: Path, shards: int = 1) -> None:
        self.clock = Clock()
        self.spec = spec(shards)
        self.folder = folder
        self.stream = SqliteStream(folder / "stream", self.spec, clock=self.clock)
        self.store = DirectoryObjectStore(folder / "objects")
        self.put_so_far = 0

    def put(self, count: int) -> None:
        numbers = range(self.put_so_far, self.put_so_far + count)
        results = self.stream.put([Record(f"k{n % 5}", b'{"n":%d}' % n) for n in numbers])
        assert not any(r.error_code for r in results)
        self.put_so_far += count

    def delivery(self, store: ObjectStore | None = None, spec_: StreamSpec | None = None) -> Delivery:
        return Delivery(self.stream, store or self.store, spec_ or self.spec, system="demo")

    @property
    def due(self) -> datetime:
        return self.clock.now + timedelta(seconds=10)

    def assert_delivered_once(self, *, whole: bool = True) -> None:
        assert_delivered_once(self.store, PREFIX, self.stream, whole=whole)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.stream.close()


def test_what_is_young_and_small_waits(world: World) -> None:
    world.put(3)
    delivery = world.delivery()
    assert delivery.deliver(world.due - timedelta(microseconds=1)) == []
    assert list(world.store.list("")) == []

    [done] = delivery.deliver(world.due)
    assert (done.shard, done.last, done.upto) == ("shard-0000", "", "00000000000000000003")
    assert (done.records, done.filtered, done.unparsed, done.lost) == (3, 0, 0, "")
    [found] = landed(world.store, PREFIX)
    assert found.lines == [{"_sequence": f"{n + 1:020d}", "n": n} for n in range(3)]
    assert [i.key for i in world.store.list("")] == [done.key]
    assert delivery.deliver(world.due) == []


def test_what_arrived_later_goes_along(world: World) -> None:
    world.put(1)
    due = world.due
    world.clock.now += timedelta(seconds=9)
    world.put(1)
    [done] = world.delivery().deliver(due)
    assert done.records == 2


def test_full_objects_do_not_wait(world: World) -> None:
    for _ in range(5):
        world.stream.put([Record("k", b'{"x":"%b"}' % (b"x" * 300_000))] * 2)
    delivered = world.delivery().deliver(world.clock.now)
    assert [d.records for d in delivered] == [3, 3, 3]
    assert all(d.size_bytes < MIB for d in delivered)
    assert [d.records for d in world.delivery().deliver(world.due)] == [1]
    world.assert_delivered_once()


def test_one_call_drains_all_that_is_due(world: World) -> None:
    for _ in range(10):
        world.put(500)
    small = spec(max_size_mib=0.01)
    delivered = world.delivery(spec_=small).deliver(world.due)
    assert sum(d.records for d in delivered) == 5000
    assert len(delivered) > 3
    world.assert_delivered_once()


def test_each_shard_is_delivered(tmp_path: Path) -> None:
    world = World(tmp_path, shards=4)
    world.put(100)
    assert sorted(d.shard for d in world.delivery().deliver(world.due)) == [s.shard for s in world.stream.shards()]
    world.assert_delivered_once()
    world.stream.close()


def test_next_delivery_goes_on_where_the_last_ended_also_after_a_restart(world: World) -> None:
    delivery = world.delivery()
    for round_ in range(12):
        world.put(7)
        [done] = (delivery if round_ % 2 else world.delivery()).deliver(world.due)
        assert done.records == 7
    assert world.delivery().deliver(world.due) == []
    world.assert_delivered_once()


def test_objects_of_others_under_the_prefix_are_none_of_its_business(world: World) -> None:
    world.put(2)
    world.store.put(f"{PREFIX}sample.csv", b"")
    world.store.put(f"{PREFIX}shard-0000/zzz.csv", b"")
    world.delivery().deliver(world.due)
    world.put(2)
    [done] = world.delivery().deliver(world.due)
    assert done.last == "00000000000000000002"


def test_pending_tells_the_lag(world: World) -> None:
    delivery = world.delivery()
    [nothing] = delivery.pending()
    assert (nothing.last, nothing.newest, nothing.oldest_at) == ("", "", None)
    world.put(2)
    first = world.clock.now
    world.clock.now += timedelta(seconds=3)
    world.put(1)
    [waiting] = delivery.pending()
    assert (waiting.last, waiting.newest, waiting.oldest_at) == ("", "00000000000000000003", first)
    assert waiting.lag_s(first + timedelta(seconds=5)) == 5.0
    onlooker = world.delivery()
    assert onlooker.pending() == [waiting]
    delivery.deliver(world.due)
    for again in (delivery, onlooker, world.delivery()):
        [done] = again.pending()
        assert (done.last, done.oldest_at, done.lag_s(world.due)) == (done.newest, None, 0.0)


def test_bytes_that_are_no_object_land_unparsed(world: World) -> None:
    world.stream.put([Record("k", b"ticker,1"), Record("k", b'{"ok":1}')])
    [done] = world.delivery().deliver(world.due)
    assert (done.records, done.unparsed) == (2, 1)
    [found] = landed(world.store, PREFIX)
    assert found.lines[0]["_unparsed"] == "dGlja2VyLDE="
    assert found.lines[1]["ok"] == 1


def keep_even(data: bytes) -> bytes | None:
    """A transformation for these tests: even numbers doubled, odd ones left out, others refused in several ways."""
    value = json.loads(data)["n"]
    if value == "list":
        return [data]  # type: ignore[return-value]
    if value == "text":
        return b"no json"
    return b'{"n": %d}' % (value * 2) if value % 2 == 0 else None


def test_transformation_maps_filters_and_fails_without_loss(world: World) -> None:
    for value in (0, 1, 2, "list", "text", None):
        world.stream.put([Record("k", json.dumps({"n": value}).encode())])
    [done] = world.delivery(spec_=spec(transform=f"{HERE}:keep_even")).deliver(world.due)

    assert (done.records, done.filtered, done.unparsed) == (6, 1, 3)
    [found] = landed(world.store, PREFIX)
    assert [line.get("n") for line in found.lines] == [0, None, 4, None, None, None]
    assert found.lines[1] == {"_sequence": "00000000000000000002", "_filtered": True}
    assert [line["_error"].split(":")[0] for line in found.lines[3:]] == [
        "transformation returned list; expected bytes or None",
        "no JSON",
        "transformation failed",
    ]
    assert found.lines[4]["_unparsed"] == "eyJuIjogInRleHQifQ=="


@pytest.mark.parametrize("reference", ["no.such.module:f", f"{HERE}:nothing", f"{HERE}", f"{HERE}:PREFIX", ":f", ""])
def test_transformation_that_is_not_there_is_said_at_once(world: World, reference: str) -> None:
    with pytest.raises(SpecError, match="demo/prices: transform"):
        world.delivery(spec_=spec(transform=reference))


def test_records_lost_to_retention_are_told_in_the_landing_object(world: World) -> None:
    world.put(3)
    delivery = world.delivery()
    delivery.deliver(world.due)
    world.put(4)
    world.clock.now += timedelta(hours=30)
    world.stream.trim(now=world.clock.now)
    assert delivery.deliver(world.due) == []

    world.put(2)
    [done] = delivery.deliver(world.due)
    assert (done.records, done.last, done.upto) == (2, "00000000000000000003", "00000000000000000009")
    assert "4 records behind sequence 00000000000000000003 were removed by retention" in done.lost
    lost, *kept = landed(world.store, PREFIX)[1].lines
    assert (lost["_sequence"], lost["_unparsed"]) == ("00000000000000000003+lost", "")
    assert "4 records" in lost["_error"]
    assert [line["n"] for line in kept] == [7, 8]
    world.put(1)
    assert [d.last for d in world.delivery().deliver(world.due)] == ["00000000000000000009"]


def test_landing_objects_ahead_of_the_stream_stop_delivery(world: World, tmp_path: Path) -> None:
    world.put(5)
    world.delivery().deliver(world.due)
    other = SqliteStream(tmp_path / "restored", world.spec, clock=world.clock)
    other.put([Record("k", b"{}")])
    delivery = Delivery(other, world.store, world.spec, system="demo")
    with pytest.raises(ConflictError, match="or an older copy of it"):
        delivery.deliver(world.due)
    other.close()


def edges(world: World) -> list[str]:
    """The calls of one delivery, each a place to crash at."""
    seen: list[str] = []
    world.put(4)
    Delivery(world.stream, EdgedStore(world.store, seen.append), world.spec, system="demo").deliver(world.due)
    return seen


def test_resume_after_a_crash_before_or_after_any_call(tmp_path: Path) -> None:
    (world := World(tmp_path / "whole")).stream.close()
    places = edges(world)
    assert [p.split(" ")[:2] for p in places if "put" in p] == [["before", "put"], ["after", "put"]] * 2
    for number in range(len(places)):
        world = World(tmp_path / str(number))
        world.put(3)
        world.delivery().deliver(world.due)
        world.put(4)
        crash_at(world, number)
        world.put(2)
        world.delivery().deliver(world.due)
        world.assert_delivered_once()
        assert landed(world.store, PREFIX)[-1].range.upto == "00000000000000000009"
        world.stream.close()


def crash_at(world: World, number: int) -> None:
    """Deliver until the edge `number`; there the deliverer is gone."""
    left = [number]

    def edge(_: str) -> None:
        if left[0] == 0:
            raise Crash
        left[0] -= 1

    with pytest.raises(Crash):
        world.delivery(EdgedStore(world.store, edge)).deliver(world.due)


def test_resume_after_claim_before_object_keeps_the_claimed_end(world: World) -> None:
    world.put(3)
    world.store.put(claim_key(PREFIX, "shard-0000", ""), b"00000000000000000002")
    assert [d.upto for d in world.delivery().deliver(world.due)] == ["00000000000000000002", "00000000000000000003"]
    assert list(world.store.list("_delivery/")) == []
    world.assert_delivered_once()


def test_resume_after_object_before_claim_is_let_go(world: World) -> None:
    world.put(3)
    world.delivery().deliver(world.due)
    world.store.put(claim_key(PREFIX, "shard-0000", ""), b"00000000000000000001")
    world.put(1)
    assert [d.last for d in world.delivery().deliver(world.due)] == ["00000000000000000003"]
    world.assert_delivered_once()


def test_resume_after_all_that_was_claimed_is_lost_to_retention(world: World) -> None:
    world.put(3)
    world.store.put(claim_key(PREFIX, "shard-0000", ""), b"00000000000000000003")
    world.delivery().deliver(world.due)
    world.put(4)
    world.store.put(claim_key(PREFIX, "shard-0000", "00000000000000000003"), b"00000000000000000005")
    world.clock.now += timedelta(hours=30)
    world.stream.trim(now=world.clock.now)
    world.put(1)
    first, second = world.delivery().deliver(world.due)
    assert (first.records, first.upto) == (0, "00000000000000000005")
    assert (second.records, second.last) == (1, "00000000000000000005")
    assert "4 records" in first.lost
    assert "2 records" in second.lost


class Turns:
    """Lets threads pass one at a time, in the order that a list of their numbers says; then all."""

    def __init__(self, order: list[int]) -> None:
        self._order = order
        self._condition = threading.Condition()
        self._finished: set[int] = set()

    def wait(self, number: int) -> None:
        with self._condition:
            while self._order and self._order[0] != number and self._order[0] not in self._finished:
                assert self._condition.wait(30)
            if self._order:
                self._order.pop(0)
            self._condition.notify_all()

    def finish(self, number: int) -> None:
        with self._condition:
            self._finished.add(number)
            self._condition.notify_all()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(0, 2), min_size=10, max_size=60), crashes=st.sets(st.integers(0, 30), max_size=2))
def test_two_deliverers_and_a_producer_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], crashes: set[int]
) -> None:
    world = World(tmp_path_factory.mktemp("world"))
    world.put(3)
    turns = Turns(list(order))
    steps = [0]
    failures: list[Exception] = []

    def edge_of(number: int) -> EdgedStore:
        def edge(_: str) -> None:
            turns.wait(number)
            steps[0] += 1
            if steps[0] in crashes:
                raise Crash

        return EdgedStore(world.store, edge)

    def deliver(number: int) -> None:
        try:
            delivery = world.delivery(edge_of(number))
            for _ in range(4):
                delivery.deliver(world.due)
        except Crash:
            pass
        except Exception as error:  # noqa: BLE001 - shown by the test's thread
            failures.append(error)
        finally:
            turns.finish(number)

    def produce() -> None:
        for _ in range(4):
            turns.wait(2)
            world.put(2)
        turns.finish(2)

    threads = [threading.Thread(target=deliver, args=(n,)) for n in (0, 1)] + [threading.Thread(target=produce)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    world.assert_delivered_once(whole=False)
    world.delivery().deliver(world.due)
    world.assert_delivered_once()
    world.stream.close()


def deliver_for_ever(folder: str) -> None:
    """A deliverer process of `test_kill_9_of_racing_deliverers`; says once that it runs."""
    impatient = spec(shards=2)
    impatient = impatient.model_copy(update={"delivery": impatient.delivery.model_copy(update={"max_age_s": 0.001})})
    stream = SqliteStream(Path(folder) / "stream", impatient)
    delivery = Delivery(stream, DirectoryObjectStore(Path(folder) / "objects"), impatient, system="demo")
    print("up", flush=True)
    while True:
        delivery.deliver(datetime.now(UTC))
        time.sleep(0.001)


def start_deliverer(folder: Path) -> subprocess.Popen[str]:
    command = f"from {HERE} import deliver_for_ever; deliver_for_ever({str(folder)!r})"
    process = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_kill_9_of_racing_deliverers(tmp_path: Path) -> None:
    stream = SqliteStream(tmp_path / "stream", spec(shards=2))
    store = DirectoryObjectStore(tmp_path / "objects")
    produced = 0
    for round_ in range(4):
        rivals = [start_deliverer(tmp_path) for _ in range(2)]
        for _ in range(40 + round_ * 7):
            stream.put([Record(f"k{n}", b'{"n":%d}' % n) for n in range(produced, produced + 5)])
            produced += 5
        for rival in rivals:
            rival.kill()
            rival.communicate()
        assert_delivered_once(store, PREFIX, stream, whole=False)

    assert len(landed(store, PREFIX)) > 8
    Delivery(stream, store, spec(shards=2), system="demo").deliver(datetime.now(UTC) + timedelta(seconds=10))
    assert_delivered_once(store, PREFIX, stream)
    assert sorted(line["n"] for found in landed(store, PREFIX) for line in found.lines) == list(range(produced))
    stream.close()


def test_error_of_one_shard_does_not_stop_the_others(tmp_path: Path) -> None:
    world = World(tmp_path, shards=2)
    world.put(20)
    world.stream.close()
    for left in (tmp_path / "stream").glob("shard-0000.sqlite-*"):
        left.unlink()
    world.store.put(claim_key(PREFIX, "shard-0000", ""), b"99999999999999999999")
    with pytest.raises(PlatformError, match="shard 'shard-0000' ends before sequence 99999999999999999999"):
        world.delivery().deliver(world.due)
    keys = [info.key for info in world.store.list(PREFIX)]
    found = [parse_landing_key(PREFIX, key) for key in keys]
    assert [r.shard for r in found if r] == ["shard-0001"]
    world.stream.close()
