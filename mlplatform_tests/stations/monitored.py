"""A small world to watch: a real warehouse, stores and endpoint records, and models trained on the example's prices."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mlplatform.adapters.endpoints.local import LocalEndpoints
from mlplatform.adapters.expectations.great_expectations import GreatExpectations
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.adapters.tracking.mlflow import MlflowTracking
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.core.drift.profile import Field
from mlplatform.core.drift.profile_sql import take_baseline
from mlplatform.core.features.encoder import Encoder
from mlplatform.core.features.fitted import fit, write_transforms
from mlplatform.core.loads.plan import JsonLinesFormat, LoadPlan
from mlplatform.core.loads.snapshot import Part, SnapshotRef, snapshot_id
from mlplatform.core.packages.conversion import write_onnx
from mlplatform.core.packages.manifest import InputField, Signature
from mlplatform.core.packages.writer import seal_package
from mlplatform.ports.endpoints import Deployment
from mlplatform.ports.object_store import ObjectInfo
from mlplatform.ports.tracking import TrackedRun
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.loader import load_system
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.spec.refresh import RefreshSpec
from mlplatform.spec.system import SystemSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.live import live_digest
from mlplatform.stations.monitor import Monitor
from mlplatform.stations.retrain import Retrain

SYSTEM = "stock_prices"
ENDPOINT = f"{SYSTEM}/stock_prices"
MODEL = f"{SYSTEM}.stock_model"
INPUTS = (
    InputField("ticker_symbol", "varchar"),
    InputField("sector", "varchar"),
    InputField("change", "double", missing="keep"),
)
SHIPPED = Path(__file__).parents[2] / "mlplatform" / "defs" / SYSTEM / "defs.yaml"


class PackageFolder:
    """Packages by digest under one folder: all that monitors need of tracking, where MLflow's database would only cost time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def package(self, model: str, digest: str) -> Path:
        return self.root / digest


@dataclass
class World:
    """Adapters under one folder, and the shipped system's spec."""

    root: Path
    system: SystemSpec
    mlflow: bool = False
    waiting: Callable[[datetime], Collection[str]] = lambda _: ()

    def __post_init__(self) -> None:
        self.store = DirectoryObjectStore(self.root / "objects")
        self.items = SqliteItemStore(self.root / "items.sqlite")
        self.endpoints = LocalEndpoints(self.root / "endpoints")
        self.warehouse = DuckLakeWarehouse(self.root / "warehouse", threads=1)
        packages = PackageFolder(self.root / "packages")
        self.tracking: Any = MlflowTracking(self.root / "mlflow", self.root / "cache") if self.mlflow else packages
        self.runtimes = PackageRuntimes()
        self.table = self.system.all(TableSpec)[0]
        self.features = self.system.all(FeatureSetSpec)[0]
        self.endpoint = self.system.all(EndpointSpec)[0]
        self.spec = self.system.all(MonitorSpec)[0]
        self.warehouse.create(self.table.schema_())

    def monitor(self, **changes: Any) -> Monitor:
        """The shipped monitor, with parts of its spec replaced."""
        return Monitor(
            self.warehouse,
            self.store,
            self.tracking,
            self.runtimes,
            self.endpoints,
            self.items,
            GreatExpectations(None),
            MonitorSpec.model_validate({**self.spec.model_dump(), **changes}),
            self.endpoint,
            self.system.all(ModelSpec)[0],
            self.features,
            self.table,
            system=SYSTEM,
            query_sql=self.system.query(self.features),
            waiting=self.waiting,
        )

    def retrain(self, *, doubt: str = "", **changes: Any) -> Retrain:
        """Retraining requests of the shipped endpoint; `changes` replace parts of the monitor's `retrain`. `doubt`: why the
        clock is not to be believed."""
        retrain = {**self.spec.retrain.model_dump(), **changes} if self.spec.retrain else changes
        monitor = MonitorSpec.model_validate({**self.spec.model_dump(), "retrain": retrain})
        return Retrain(
            self.items,
            self.warehouse,
            self.table,
            system=SYSTEM,
            station=self.endpoint.name,
            champion=lambda: live_digest(self.endpoints, f"{SYSTEM}/{self.endpoint.name}"),
            monitors=[monitor],
            refresh=self.system.all(RefreshSpec)[0],
            doubt=lambda: doubt,
            waiting=self.waiting,
        )

    def load(
        self,
        records: Iterable[Mapping[str, Any]],
        *,
        shard: str = "0",
        meanwhile: Callable[[], object] = lambda: None,
    ) -> int:
        """Load records as delivered by a shard of the stream; how many became rows. `meanwhile` is done once it has begun."""
        guard = self.warehouse.guard(self.table.name, f"stream/stock_stream/{shard}")
        start = int(guard.last or 0)
        lines = [
            json.dumps({"_sequence": f"{start + k:020d}", **record}, default=str) for k, record in enumerate(records, 1)
        ]
        info = self.store.put(f"landing/{shard}/{start:020d}.jsonl", ("\n".join(lines) + "\n").encode())
        plan = LoadPlan(
            self.table.name,
            guard.shard,
            guard.last,
            f"{start + len(lines):020d}",
            guard.epoch,
            info.key,
            info.etag,
            info.size_bytes,
            JsonLinesFormat(),
        )
        return self.warehouse.load(plan, self.table.schema_(), _Read(self.store.root, meanwhile)).loaded

    def deploy(
        self,
        rows: pd.DataFrame,
        *,
        rounds: int = 20,
        baseline: bool = True,
        inputs: tuple[InputField, ...] = INPUTS,
    ) -> Deployment:
        """Unload `rows`, train on them, and make the package the endpoint's next generation."""
        staging = self.root / "packages" / f"staging-{len(self.endpoints.history(ENDPOINT))}"
        newest = self.warehouse.query("SELECT table_name, max(position) AS n FROM _ledger GROUP BY ALL").to_pylist()
        positions = {row["table_name"]: row["n"] for row in newest}
        snapshot = unload(self.store, rows, f"unload/{len(self.endpoints.history(ENDPOINT))}/", positions)
        digest = make_price_package(staging, rows, snapshot, rounds=rounds, baseline=baseline, inputs=inputs)
        package = staging.rename(staging.parent / digest)
        if self.mlflow:
            run = TrackedRun(
                SYSTEM, "run", {"rounds": str(rounds)}, {"r2": 0.951}, {"dagster_run_id": "run-1"}, package
            )
            self.tracking.stage(run, model=MODEL, digest=digest)
            self.tracking.register(MODEL, digest, verdict={"passed": True, "digest": digest})
        return self.point_to(digest)

    def point_to(self, digest: str) -> Deployment:
        """Deploy a package that is there."""
        generation = len(self.endpoints.history(ENDPOINT)) + 1
        deployment = Deployment(
            ENDPOINT,
            generation,
            MODEL,
            generation,
            digest,
            "refresh",
            f"run-{generation}",
            now().isoformat(),
        )
        self.endpoints.deploy(deployment)
        return deployment


class _Read(DirectoryObjectStore):
    """A store that does something when it is first asked for an object."""

    def __init__(self, root: Path, meanwhile: Callable[[], object]) -> None:
        super().__init__(root)
        self._meanwhile = [meanwhile]

    def head(self, key: str) -> ObjectInfo | None:
        while self._meanwhile:
            self._meanwhile.pop()()
        return super().head(key)


def open_world(root: Path, *, mlflow: bool = False) -> World:
    """The world under `root`, new or as it was left; `mlflow` = models are tracked and registered for real."""
    return World(root, load_system(SHIPPED), mlflow)


def now() -> datetime:
    return datetime.now(UTC)


def later(seconds: float = 60) -> datetime:
    """A time by which whatever was loaded has settled."""
    return now() + timedelta(seconds=seconds)


def unload(store: DirectoryObjectStore, rows: pd.DataFrame, prefix: str, positions: Mapping[str, int]) -> SnapshotRef:
    """Write `rows` as the training channel of a snapshot."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), sink)
    data = sink.getvalue().to_pybytes()
    part = Part(f"{prefix}train/part-0.parquet", len(rows), len(data), hashlib.sha256(data).hexdigest())
    store.put(part.key, data)
    manifest = {
        "built_at": now().isoformat(),
        "positions": dict(positions),
        "window_first": str(min(rows["trading_day"])),
        "channels": {"train": [asdict(part)]},
    }
    store.put(f"{prefix}manifest.json", json.dumps(manifest).encode())
    return SnapshotRef(snapshot_id("SELECT", [part], 1), f"{prefix}manifest.json", 1, "7", len(rows))


def make_price_package(
    directory: Path,
    rows: pd.DataFrame,
    snapshot: SnapshotRef,
    *,
    rounds: int = 20,
    baseline: bool = True,
    inputs: tuple[InputField, ...] = INPUTS,
) -> str:
    """Train on `rows` (the example's columns) and seal the package in `directory`; returns its digest."""
    import xgboost

    directory.mkdir(parents=True)
    table = pa.Table.from_pandas(rows, preserve_index=False)
    fitted = fit(inputs, table)
    matrix = xgboost.DMatrix(Encoder(inputs, fitted).table(table).matrix, label=rows["price"])
    booster = xgboost.train({"max_depth": 6, "eta": 0.1 if rounds > 50 else 0.3, "nthread": 1}, matrix, rounds)
    booster.save_model(directory / "model.ubj")
    write_onnx(booster, directory / "model.onnx", inputs=len(inputs))
    write_transforms(directory, fitted)
    if baseline:
        fields = [Field("ticker_symbol", "category"), Field("sector", "category"), Field("change", "numeric")]
        with duckdb.connect() as connection:
            connection.register("training_rows", table)
            profile = take_baseline(lambda sql: connection.execute(sql).to_arrow_table(), "training_rows", fields)
        (directory / "baseline.json").write_text(json.dumps(profile.to_json()))
    days = sorted(rows["trading_day"].unique())
    return seal_package(
        directory,
        model=MODEL,
        signature=Signature(inputs, "regression", "price"),
        runtime="onnx",
        snapshot=snapshot.to_json(),
        training_job="price-job-1",
        code_version="0" * 40,
        trained_to=str(days[-1]),
        metrics={"rows": float(len(rows)), "rounds": float(rounds)},
    ).digest


def make_days(
    first: int, count: int, *, shift: float = 0.0, tickers: Sequence[str] = ("AAPL", "JPM", "XOM")
) -> pd.DataFrame:
    """`count` days of made-up prices, from day `first` of 2020 on, in which price follows ticker and change exactly."""
    rows = []
    for day in range(first, first + count):
        date = (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
        for k, ticker in enumerate(tickers):
            change = ((day * 7 + k * 3) % 11 - 5) / 5 + shift
            rows.append((ticker, f"S{k}", change, 100 + 50 * k + 10 * change, date))
    return pd.DataFrame(rows, columns=["ticker_symbol", "sector", "change", "price", "trading_day"])


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as a producer sends them."""
    return list(json.loads(rows.to_json(orient="records")))
