"""A stream and a store on disk, for tests of delivery."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.stream import Record
from mlplatform.spec.stream import DeliverySpec, StreamSpec
from mlplatform.stations.delivery import Delivery
from mlplatform_tests.conformance.streams import Clock
from mlplatform_tests.stations.landed import assert_delivered_once

PREFIX = "prices/stream/"


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

    def delivery(
        self,
        store: ObjectStore | None = None,
        spec_: StreamSpec | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> Delivery:
        return Delivery(self.stream, store or self.store, spec_ or self.spec, system="demo", clock=clock)

    @property
    def due(self) -> datetime:
        return self.clock.now + timedelta(seconds=10)

    def assert_delivered_once(self, *, whole: bool = True) -> None:
        assert_delivered_once(self.store, PREFIX, self.stream, whole=whole)
