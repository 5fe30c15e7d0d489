"""Delivery: what is due, and what lands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.core.loads.landing import claim_key, parse_landing_key
from mlplatform.errors import ConflictError, PlatformError, SpecError, StateError
from mlplatform.ports.stream import Record, StoredRecord
from mlplatform.stations.delivery import Delivery
from mlplatform_tests.stations.delivery_world import PREFIX, World, spec
from mlplatform_tests.stations.landed import landed

MIB = 1024 * 1024
HERE = "mlplatform_tests.stations.test_delivery"


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


class Mistaken(SqliteStream):
    """Says that retention took what lies behind any position, which it did not."""

    def read(self, shard: str, *, after: str = "", limit: int = 1000) -> list[StoredRecord]:
        if after:
            raise StateError(f"records behind {after} were removed by retention, or may have been.")
        return super().read(shard, limit=limit)


def test_delivery_never_falls_back_behind_its_position(world: World) -> None:
    world.put(3)
    world.delivery().deliver(world.due)
    before = [info.key for info in world.store.list("")]
    world.put(2)
    stream = Mistaken(world.folder / "stream", world.spec, clock=world.clock)
    delivery = Delivery(stream, world.store, world.spec, system="demo")
    for _ in range(2):
        with pytest.raises(StateError, match=r"behind sequence 0+3 were asked for, and those from 0+1 on came"):
            delivery.deliver(world.due)
    assert [info.key for info in world.store.list("")] == before
    stream.close()


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
