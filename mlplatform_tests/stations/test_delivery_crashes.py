"""Delivery is killed at every call, and goes on as if nothing happened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mlplatform.core.loads.landing import claim_key
from mlplatform.stations.delivery import Delivery
from mlplatform_tests.stations.crashing_store import Crash, EdgedStore
from mlplatform_tests.stations.delivery_world import PREFIX, World
from mlplatform_tests.stations.landed import landed


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.stream.close()


def edges(world: World) -> list[str]:
    """The calls of one delivery, each a place to crash at."""
    seen: list[str] = []
    world.put(4)
    Delivery(world.stream, EdgedStore(world.store, seen.append), world.spec, system="demo").deliver(world.due)
    return seen


def test_resume_after_a_crash_before_or_after_any_call(tmp_path: Path) -> None:
    world = World(tmp_path / "whole")
    places = edges(world)
    world.stream.close()
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
