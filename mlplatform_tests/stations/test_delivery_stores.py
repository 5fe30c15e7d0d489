"""Delivery over every object store adapter: its proof leans on put-if-absent and on listings alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.stream import Record
from mlplatform.spec.stream import DeliverySpec, StreamSpec
from mlplatform.stations.delivery import Delivery
from mlplatform_tests.conformance.object_stores import ministack_server, object_store
from mlplatform_tests.conformance.streams import Clock
from mlplatform_tests.stations.landed import assert_delivered_once, landed

__all__ = ["ministack_server", "object_store"]

SPEC = StreamSpec(name="s", partition_key="k", shards=2, delivery=DeliverySpec(prefix="landing/", max_size_mib=0.001))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stream(tmp_path: Path, clock: Clock) -> Iterator[SqliteStream]:
    found = SqliteStream(tmp_path, SPEC, clock=clock)
    yield found
    found.close()


def test_three_deliverers_race(object_store: ObjectStore, stream: SqliteStream, clock: Clock) -> None:
    produced = 0
    start = threading.Barrier(4)

    def deliver() -> None:
        start.wait()
        for _ in range(12):
            Delivery(stream, object_store, SPEC, system="demo").deliver(clock.now + timedelta(seconds=1))

    rivals = [threading.Thread(target=deliver) for _ in range(3)]
    for rival in rivals:
        rival.start()
    start.wait()
    for _ in range(30):
        stream.put([Record(f"k{n}", b'{"n":%d}' % n) for n in range(produced, produced + 10)])
        produced += 10
    for rival in rivals:
        rival.join()
    Delivery(stream, object_store, SPEC, system="demo").deliver(clock.now + timedelta(seconds=1))

    assert_delivered_once(object_store, "landing/", stream)
    assert sorted(line["n"] for found in landed(object_store, "landing/") for line in found.lines) == list(range(300))
    assert list(object_store.list("_delivery/")) == []
