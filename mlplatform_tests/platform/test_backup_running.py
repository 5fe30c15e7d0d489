"""A backup made while records stream and load: what is restored is whole, and goes on without losing a record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.platform.backup import backup, restore
from mlplatform.ports.stream import Record
from mlplatform.spec.home import Home, open_home
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.delivery import Delivery
from mlplatform.stations.ingest import Ingest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STREAM = StreamSpec.model_validate({"name": "ticks", "partition_key": "k", "shards": 2, "delivery": {"prefix": "in/"}})
TABLE = TableSpec.model_validate(
    {"name": "ticks_table", "columns": [{"name": "k", "nullable": False}], "sources": [{"stream": "ticks"}]}
)


@dataclass
class Loop:
    """A stream that is delivered and loaded, in a home."""

    stream: SqliteStream
    delivery: Delivery
    ingest: Ingest
    warehouse: DuckLakeWarehouse
    put_so_far: int = 0

    @classmethod
    @contextmanager
    def on(cls, home: Home) -> Iterator[Loop]:
        store = DirectoryObjectStore(home.objects)
        with (
            closing(SqliteStream(home.streams / "shop" / "ticks", STREAM)) as stream,
            closing(DuckLakeWarehouse(home.warehouse("shop"), threads=1)) as warehouse,
        ):
            ingest = Ingest(warehouse, store, TABLE, system="shop", streams={"ticks": STREAM})
            yield cls(stream, Delivery(stream, store, STREAM, system="shop"), ingest, warehouse)

    def turn(self, tag: str, records: int) -> None:
        """Put, deliver, load."""
        numbers = range(self.put_so_far, self.put_so_far + records)
        results = self.stream.put([Record(f"{n % 7}", f'{{"k":"{tag}{n}"}}'.encode()) for n in numbers])
        assert not any(r.error_code for r in results)
        self.put_so_far += records
        self.delivery.deliver(datetime.now(UTC) + timedelta(hours=1))
        self.ingest.run()

    def streamed(self) -> list[bytes]:
        return [r.data for state in self.stream.shards() for r in self.stream.read(state.shard, limit=100_000)]

    def loaded(self) -> list[bytes]:
        rows = self.warehouse.query("SELECT k FROM ticks_table").to_pylist()
        return [f'{{"k":"{row["k"]}"}}'.encode() for row in rows]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home", profile="local")


def test_what_is_restored_from_a_running_loop_reads_and_loads_on_without_loss(home: Home, tmp_path: Path) -> None:
    copied: list[str] = []
    with Loop.on(home) as loop:
        loop.turn("a", 10)

        def go_on(name: str) -> None:
            copied.append(name)
            loop.turn("b", 10)

        backup(home, tmp_path / "b.tar", now=NOW, on_file=go_on)
    assert len(copied) > 5
    restore(tmp_path / "b.tar", tmp_path / "other")
    with Loop.on(Home(tmp_path / "other")) as restored:
        restored.loaded()
        for _ in range(3):
            restored.turn("c", 20)
        assert sorted(restored.loaded()) == sorted(restored.streamed())
