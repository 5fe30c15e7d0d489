"""The Ingest station in a warm process: arrival of an object to rows, receipt and ledger, with all checks on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.ingest.data import COLUMNS, NAMES
from benchmarks.measured import answer
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.spec.table import TableSpec
from mlplatform.stations.ingest import Ingest

FIRST = (",".join(NAMES) + "\nT,S,0,1,1600-01-01\n").encode()


class Loader:
    """One warehouse and store; each load is into a table of its own, so that every round meets the same."""

    def __init__(self) -> None:
        self._stations: dict[str, Ingest] = {}

    def open(self, home: str) -> None:
        """Make the adapters."""
        self._store = DirectoryObjectStore(Path(home) / "objects")
        self._warehouse = DuckLakeWarehouse(Path(home) / "warehouse")

    def prepare(self, table: str, csv: str, *, keyed: bool) -> None:
        """A table that has loaded before (one row), and the object that is due for it."""
        self._store.put(f"{table}/first.csv", FIRST)
        spec = TableSpec.model_validate(
            {
                "name": table,
                "columns": COLUMNS,
                "event_time": "trading_day",
                "unique_key": ["ticker_symbol", "trading_day"] if keyed else [],
                "sources": [{"prefix": f"{table}/", "suffix": ".csv"}],
            }
        )
        self._stations[table] = Ingest(self._warehouse, self._store, spec, system="bench", streams={})
        self._stations[table].run()
        self._store.put(f"{table}/rows.csv", Path(csv))

    def load(self, table: str) -> dict[str, Any]:
        """Plan and load all that is due."""
        (receipt,) = self._stations[table].run()
        return {"loaded": receipt.loaded, "arrived": receipt.arrived, "balanced": receipt.balanced()}


if __name__ == "__main__":
    loader = Loader()
    answer({"open": loader.open, "prepare": loader.prepare, "load": loader.load})
