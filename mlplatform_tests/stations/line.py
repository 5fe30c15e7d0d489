"""The line from table to registry on the embedded adapters, for tests: prices in, versions out."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.csv as pacsv

from mlplatform.adapters.compute.container import container_folders
from mlplatform.adapters.compute.subprocess import SubprocessCompute
from mlplatform.adapters.endpoints.local import LocalEndpoints
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.adapters.tracking.mlflow import MlflowTracking
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.platform.job_source import source_of
from mlplatform.ports.endpoints import Deployment
from mlplatform.ports.tracking import ModelVersion
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.home import Home
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.profile import Connection
from mlplatform.spec.table import TableSpec
from mlplatform.stations.feature_snapshot import FeatureSnapshot
from mlplatform.stations.features import Features
from mlplatform.stations.gate import Gate
from mlplatform.stations.ingest import Ingest
from mlplatform.stations.registry import Registry
from mlplatform.stations.training import Trained, Training
from mlplatform_tests.prices import FEATURES_SQL, price_rows

SYSTEM = "stock_prices"
ENDPOINT = "stock_prices/stock_prices"
START = datetime(2026, 1, 1, tzinfo=UTC)

TABLE = TableSpec.model_validate(
    {
        "name": "stock_table",
        "event_time": "trading_day",
        "unique_key": ["ticker_symbol", "trading_day"],
        "columns": [
            {"name": "ticker_symbol", "nullable": False},
            {"name": "sector", "nullable": False},
            {"name": "change", "type": "double"},
            {"name": "price", "type": "double"},
            {"name": "trading_day", "type": "date", "nullable": False},
        ],
        "sources": [{"prefix": "base/", "suffix": ".csv"}],
    }
)
FEATURES: dict[str, Any] = {
    "name": "stock_features",
    "table": "stock_table",
    "query": "features.sql",
    "target": "price",
    "window": {"column": "trading_day", "last": 250},
    "split": {"by": "hash", "key": ["trading_day"], "holdout": 0.15, "validation": 0.15, "salt": "stock_prices"},
    "features": [
        {"name": "ticker_symbol", "transform": "category"},
        {"name": "sector", "transform": "category"},
        {"name": "change", "missing": "keep"},
    ],
}
MODEL: dict[str, Any] = {
    "name": "stock_model",
    "features": "stock_features",
    "task": "regression",
    "hyperparameters": {"num_round": 40, "max_depth": 5, "eta": 0.2},
    "gate": {"metric": "r2", "threshold": 0.6, "by": "trading_day", "segments": ["sector"]},
}


@dataclass
class Line:
    """One system's stations under `root`; specs may be exchanged between calls, as an edit of the YAML would."""

    root: Path
    features_spec: dict[str, Any] = field(default_factory=lambda: dict(FEATURES))
    model_spec: dict[str, Any] = field(default_factory=lambda: dict(MODEL))
    query: str = FEATURES_SQL
    minutes: int = 0

    def __post_init__(self) -> None:
        self.store = DirectoryObjectStore(self.root / "objects")
        self.items = SqliteItemStore(self.root / "items.sqlite")
        self.warehouse = DuckLakeWarehouse(Home(self.root).warehouse(SYSTEM), threads=2)
        self.endpoints = LocalEndpoints(self.root / "endpoints")
        self.tracking = MlflowTracking(self.root / "tracking", self.root / "packages")
        self.containers = (self.root / "containers", *container_folders())
        self.compute = SubprocessCompute(self.root / "jobs", self.store, containers=self.containers)

    def load_days(self, first: int, last: int) -> int:
        """Load trading days into `stock_table`; returns the rows loaded."""
        file = io.BytesIO()
        pacsv.write_csv(price_rows(first, last), file)
        self.store.put(f"base/{first:05d}-{last:05d}.csv", file.getvalue())
        ingest = Ingest(self.warehouse, self.store, TABLE, system=SYSTEM, streams={})
        ingest.create()
        return sum(receipt.loaded for receipt in ingest.run())

    @property
    def features(self) -> Features:
        spec = FeatureSetSpec.model_validate(self.features_spec)
        return Features(self.warehouse, self.store, spec, TABLE, system=SYSTEM, query_sql=self.query)

    def build(self, **parameters: Any) -> FeatureSnapshot:
        self.minutes += 1
        return self.features.build(START + timedelta(minutes=self.minutes), parameters)

    @property
    def training(self) -> Training:
        warehouse = Connection(port="warehouse", adapter="ducklake")
        secrets = Connection(port="secrets", adapter="environment")
        pulls = self.features_spec.get("channel") == "warehouse"
        return Training(
            self.compute,
            self.tracking,
            self.store,
            ModelSpec.model_validate(self.model_spec),
            FeatureSetSpec.model_validate(self.features_spec),
            system=SYSTEM,
            source=source_of(warehouse, secrets, Home(self.root), SYSTEM, masked=False) if pulls else None,
        )

    def train(self, snapshot: FeatureSnapshot, *, code_version: str = "c" * 40) -> Trained:
        return self.training.train(snapshot, run_id="run-1", code_version=code_version)

    @property
    def gate(self) -> Gate:
        return Gate(
            self.tracking,
            PackageRuntimes(),
            self.store,
            self.items,
            self.endpoints,
            ModelSpec.model_validate(self.model_spec),
            system=SYSTEM,
            endpoint=ENDPOINT,
            warehouse=lambda: self.warehouse,
        )

    @property
    def registry(self) -> Registry:
        return Registry(
            self.tracking,
            self.items,
            self.endpoints,
            ModelSpec.model_validate(self.model_spec),
            system=SYSTEM,
            endpoint=ENDPOINT,
        )

    def deploy(self, version: ModelVersion) -> None:
        current = self.endpoints.desired(ENDPOINT)
        self.endpoints.deploy(
            Deployment(
                endpoint=ENDPOINT,
                generation=current.generation + 1 if current else 1,
                model=version.model,
                version=version.version,
                digest=version.digest,
                reason="refresh",
                run_id="run-1",
                created_at=START.isoformat(),
            )
        )
