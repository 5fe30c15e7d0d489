"""The position of a shard is found among the names of its landing objects, with few listings."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.core.loads.landing import landing_key
from mlplatform.ports.stream import ShardState
from mlplatform.stations.landing_positions import LandingPositions
from mlplatform_tests.conformance.streams import stream_spec
from mlplatform_tests.stations.crashing_store import EdgedStore

NEWEST = 10**12


def text(sequence: int) -> str:
    return f"{sequence:020d}"


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(ends=st.lists(st.integers(1, NEWEST), unique=True, max_size=12).map(sorted))
def test_newest_of_any_ranges_is_found(tmp_path_factory: pytest.TempPathFactory, ends: list[int]) -> None:
    folder = tmp_path_factory.mktemp("positions")
    store = DirectoryObjectStore(folder / "objects")
    for last, upto in zip([0, *ends], ends, strict=False):
        store.put(landing_key("p/", "shard-0000", text(last) if last else "", text(upto)), b"")
    listings: list[str] = []
    positions = LandingPositions(_stream(folder), EdgedStore(store, listings.append), "p/")

    found = positions.of(ShardState("shard-0000", text(1), text(NEWEST), NEWEST))
    assert found == (text(ends[-1]) if ends else "")
    assert len(listings) <= math.log2(NEWEST) + 2
    listings.clear()
    assert positions.of(ShardState("shard-0000", text(1), text(NEWEST), NEWEST)) == found
    assert listings == []


def test_newest_of_many_that_lie_far_apart_is_found_with_few_listings(tmp_path: Path) -> None:
    store = DirectoryObjectStore(tmp_path / "objects")
    ends = [f"{49_600 * 10**51 + number * 10**40:056d}" for number in range(1, 401)]
    for last, upto in pairwise(["", *ends]):
        store.put(landing_key("p/", "shard-0000", last, upto), b"")
    listings: list[str] = []
    positions = LandingPositions(_stream(tmp_path), EdgedStore(store, listings.append), "p/")
    assert positions.of(ShardState("shard-0000", None, str(int(ends[-1]) + 10**42), None)) == ends[-1]
    assert len(listings) <= 10


def test_newest_of_many_that_lie_close_together_is_found_with_few_listings(tmp_path: Path) -> None:
    store = DirectoryObjectStore(tmp_path / "objects")
    ends = [text(number) for number in range(1, 401)]
    for last, upto in pairwise(["", *ends]):
        store.put(landing_key("p/", "shard-0000", last, upto), b"")
    listings: list[str] = []
    positions = LandingPositions(_stream(tmp_path), EdgedStore(store, listings.append), "p/")
    assert positions.of(ShardState("shard-0000", None, text(10**19), None)) == ends[-1]
    assert len(listings) <= 10


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_newest_of_so_many_is_found(tmp_path: Path, count: int) -> None:
    store = DirectoryObjectStore(tmp_path / "objects")
    for number in range(count):
        last = text(number * 3) if number else ""
        store.put(landing_key("p/", "shard-0000", last, text(number * 3 + 3)), b"")
    positions = LandingPositions(_stream(tmp_path), store, "p/")
    newest = text(count * 3) if count else ""
    assert positions.of(ShardState("shard-0000", None, text(count * 3 + 7), None)) == newest


def _stream(folder: Path) -> SqliteStream:
    return SqliteStream(folder / "stream", stream_spec())
