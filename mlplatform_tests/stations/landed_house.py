"""A warehouse and an object store with a stream's landing objects, for tests of what is loaded from there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.core.loads.landing import landing_key, landing_line
from mlplatform.core.loads.plan import Receipt
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.ingest import Ingest
from mlplatform.stations.quarantine import Quarantine
from mlplatform_tests.conformance.warehouses import SharedDuckLake

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
