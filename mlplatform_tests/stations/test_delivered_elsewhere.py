"""A stream that another delivers: what had arrived before it began is delivered here, once, and it is looked after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.errors import StateError
from mlplatform.stations.delivered_elsewhere import LOOK_AGAIN_S, LOOK_S, OVERLAP, DeliveredElsewhere, Elsewhere
from mlplatform_tests.stations.delivery_world import PREFIX, World
from mlplatform_tests.stations.landed import landed

SECOND = timedelta(seconds=1)


class Other:
    """Who delivers from `since` on, or fails as `failure` says; `now` is the monotonic clock of who looks."""

    def __init__(self) -> None:
        self.since: datetime | None = None
        self.failure = ""
        self.looks = 0
        self.now = 0.0

    def prepare(self) -> datetime | None:
        self.looks += 1
        if self.failure:
            raise StateError(self.failure)
        return self.since

    def station(self, world: World) -> DeliveredElsewhere:
        there = Elsewhere("firehose/", ".jsonl", "errors/", 60.0, self.prepare, lambda: self.since)
        return DeliveredElsewhere(there, world.delivery, clock=lambda: self.now)

    def looked(self) -> int:
        """How often it was looked at since this was asked."""
        found, self.looks = self.looks, 0
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.stream.close()


@pytest.fixture
def other() -> Other:
    return Other()


def numbers(world: World) -> list[int]:
    return [int(line["n"]) for found in landed(world.store, PREFIX) for line in found.lines]


def put_over_the_change(world: World, other: Other) -> None:
    """Numbers 0 … 1 before the other begins, 2 as it begins, 3 while both deliver, 4 afterwards."""
    world.put(2)
    world.clock.now += 100 * SECOND
    other.since = world.clock.now
    world.put(1)
    world.clock.now += OVERLAP
    world.put(1)
    world.clock.now += SECOND
    world.put(1)


def test_all_is_delivered_here_until_the_other_begins(world: World, other: Other) -> None:
    station = other.station(world)
    for _ in range(2):
        world.put(2)
        (done,) = station.deliver(world.due)
        assert done.records == 2
        world.clock.now += timedelta(hours=1)


def test_what_had_arrived_before_the_other_began_is_delivered_here_and_nothing_later(
    world: World, other: Other
) -> None:
    put_over_the_change(world, other)
    station = other.station(world)
    (waiting,) = station.pending()
    assert waiting.oldest_at == world.clock.now - OVERLAP - 101 * SECOND
    (done,) = station.deliver(world.due)
    assert done.records == 4
    assert numbers(world) == [0, 1, 2, 3]
    assert station.pending() == []
    world.put(1)
    world.clock.now += timedelta(hours=1)
    assert station.deliver(world.due) == []
    # Nor where the process starts anew.
    again = other.station(world)
    assert again.pending() == []
    assert again.deliver(world.due) == []


def test_what_still_comes_in_while_both_deliver_is_not_left_out(world: World, other: Other) -> None:
    other.since = world.clock.now
    station = other.station(world)
    assert station.deliver(world.clock.now) == []
    world.clock.now += OVERLAP - SECOND
    world.put(1)
    assert station.deliver(world.clock.now) == []
    (done,) = station.deliver(world.due)
    assert done.records == 1


def test_one_that_was_made_anew_leaves_what_arrived_meanwhile_to_us(world: World, other: Other) -> None:
    put_over_the_change(world, other)
    station = other.station(world)
    station.deliver(world.due)
    world.put(1)
    world.clock.now += timedelta(hours=1)
    other.since = world.clock.now
    assert station.deliver(world.due) == []
    other.now = LOOK_AGAIN_S
    (done,) = station.deliver(world.due)
    assert done.records == 2
    assert numbers(world) == [0, 1, 2, 3, 4, 5]


def test_it_is_looked_at_again(world: World, other: Other) -> None:
    station = other.station(world)
    looks = []
    for now in (0.0, LOOK_S - 1, LOOK_S):
        other.now = now
        station.deliver(world.due)
        looks.append(other.looked())
    assert looks == [1, 0, 1]
    other.since = world.clock.now
    other.now = 2 * LOOK_S
    station.deliver(world.due)
    other.looked()
    other.now = 2 * LOOK_S + LOOK_AGAIN_S - 1
    station.deliver(world.due)
    assert other.looked() == 0
    other.failure = "deleted"
    other.now = 2 * LOOK_S + LOOK_AGAIN_S
    for _ in range(2):
        with pytest.raises(StateError, match="deleted"):
            station.deliver(world.due)
