"""The position of a shard is found among the names of its landing objects, with few listings."""

from __future__ import annotations

import math
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


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def _stream(folder: Path) -> SqliteStream:
    return SqliteStream(folder / "stream", stream_spec())
