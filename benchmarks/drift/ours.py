"""What the monitor does of a window, in a warm process: one profile in the engine, every statistic, the suite's verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.drift.data import FEATURES
from benchmarks.measured import answer
from mlplatform.adapters.expectations.great_expectations import GreatExpectations
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.core.drift.judge import judge
from mlplatform.core.drift.profile import Field
from mlplatform.core.drift.profile_sql import take_baseline, take_profile
from mlplatform.spec.table import TableSpec
from mlplatform.stations.drift_checks import check_drift
from mlplatform.stations.ingest import Ingest


class Watch:
    """A warehouse with a reference and a window, and the baseline that a model package would carry."""

    def open(self, home: str) -> None:
        """Make the adapters."""
        self._store = DirectoryObjectStore(Path(home) / "objects")
        self._warehouse = DuckLakeWarehouse(Path(home) / "warehouse")
        self._expectations = GreatExpectations(None)

    def load(self, table: str, parts: list[str]) -> dict[str, Any]:
        """Load Parquet objects into a table."""
        for part in parts:
            self._store.put(f"{table}/{Path(part).name}", Path(part))
        spec = TableSpec.model_validate(
            {
                "name": table,
                "columns": [{"name": name, "type": "double"} for name in FEATURES],
                "sources": [{"prefix": f"{table}/", "suffix": ".parquet", "format": {"type": "parquet"}}],
            }
        )
        receipts = Ingest(self._warehouse, self._store, spec, system="bench", streams={}).run()
        return {"rows": sum(r.loaded for r in receipts)}

    def baseline(self, table: str) -> dict[str, Any]:
        """Profile the reference; the edges of its bins, for the bare query."""
        fields = [Field(name, "numeric") for name in FEATURES]
        self._baseline = take_baseline(self._warehouse.query, table, fields)
        return {"edges": [list(f.edges) for f in self._baseline.features]}

    def verdict(self, table: str, statistic: str) -> dict[str, Any]:
        """Judge the table's rows against the baseline; the features that drifted."""
        sample = take_profile(self._warehouse.query, table, self._baseline)
        drifts = judge(
            self._baseline,
            sample,
            statistic="psi" if statistic == "psi" else "js",
            threshold=0.1,
            thresholds={},
            completeness=0.01,
        )
        return {"drifted": sorted(check_drift(self._expectations, drifts, suite="bench/drift", run="bench").failed)}


if __name__ == "__main__":
    watch = Watch()
    answer({"open": watch.open, "load": watch.load, "baseline": watch.baseline, "verdict": watch.verdict})
