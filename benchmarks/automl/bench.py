"""AutoGluon's container beside XGBoost's, on the rows of both examples: the same snapshot, by the platform's stations.

Each model is trained once (seeds are fixed; a search ends where its time limit finds it), and then asked in turns.
"""

from __future__ import annotations

import runpy
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks.options import Options
from benchmarks.processes import ROOT
from benchmarks.project import environment, write_system
from benchmarks.rounds import paired, series
from benchmarks.rows import Row, Series, row
from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.core.packages.manifest import read_package
from mlplatform.platform import open_platform
from mlplatform.platform.system import SystemStations
from mlplatform.spec.feature_set import FeatureSetSpec

DAYS = 252
"""Of prices: a year."""
CALLS = 200
PEER = "container xgboost"


def prices(options: Options) -> list[Row]:
    """Rows ``automl.prices.*``: a number to be predicted, of a year of the stock prices."""
    from examples.stock_prices.prices import base_rows, frame

    scratch = options.folder("automl-prices")
    rows = base_rows(frame()).tail(DAYS * 20)
    rows.to_csv(scratch / "rows.csv", index=False)
    return _compare(options, scratch, ROOT / "mlplatform/defs/stock_prices", "stock_prices/base/rows.csv", "r2", "R²")


def passengers(options: Options) -> list[Row]:
    """Rows ``automl.passengers.*``: who survived, with missing values and categories."""
    scratch = options.folder("automl-passengers")
    with chdir(scratch):
        runpy.run_path(str(ROOT / "examples/passengers/lists.py"))
    lines = [(scratch / "data" / name).read_text().splitlines() for name in ("first.csv", "second.csv")]
    (scratch / "rows.csv").write_text("\n".join([*lines[0], *lines[1][1:]]) + "\n")
    where = "passengers/lists/rows.csv"
    return _compare(options, scratch, ROOT / "examples/passengers", where, "roc_auc", "area under the ROC curve")


def _compare(options: Options, scratch: Path, system: Path, key: str, metric: str, unit: str) -> list[Row]:
    stations, models = _open(scratch, system, options)
    stations.platform.store.put(key, scratch / "rows.csv")
    table = stations.spec.get(FeatureSetSpec, stations.model_spec(models["ours"]).features).table
    stations.ingest(table).create()
    stations.ingest(table).run()
    features = stations.features(stations.model_spec(models["ours"]).features)
    snapshot = features.build(datetime.now(UTC), {}, run_id="bench")
    trained = {}
    for side, model in models.items():
        began = time.perf_counter()
        found = stations.training(model).train(snapshot)
        options.say(f"{system.name}, {side}: {metric} {found.metrics[metric]:.4f}, {time.perf_counter() - began:.1f} s")
        package = stations.platform.tracking.package(found.candidate.model, found.candidate.digest)
        trained[side] = (found, time.perf_counter() - began, package)

    def one(pick: Callable[[Any, float, Path], float]) -> tuple[Series, Series]:
        ours, peer = (Series.of([pick(*trained[side])]) for side in ("ours", "peer"))
        return ours, peer

    set_ = "prices" if metric == "r2" else "passengers"
    asked = _asked(
        options, {side: package for side, (_, _, package) in trained.items()}, features.read(snapshot, "test")
    )
    title = f"{set_.capitalize()}, {snapshot.ref.rows:,} rows"
    size = one(lambda _found, _s, package: sum(path.stat().st_size for path in package.iterdir()) / 1e6)
    return [
        row(f"automl.{set_}.metric", f"{title}: on the held-out ones", unit, *one(lambda f, _s, _p: f.metrics[metric]), peer_name=PEER),
        row(f"automl.{set_}.training", f"{title}: training job and tracking", "s", *one(lambda _f, s, _p: s), peer_name=PEER),
        row(f"automl.{set_}.package", f"{title}: the model's package", "MB", *size, peer_name=PEER),
        row(f"automl.{set_}.one", f"{title}: one row asked, without HTTP", "ms", *series(asked, "one"), peer_name=PEER),
        row(f"automl.{set_}.many", f"{title}: 1,000 rows asked at once", "ms", *series(asked, "many"), peer_name=PEER),
    ]  # fmt: skip


def _open(scratch: Path, system: Path, options: Options) -> tuple[SystemStations, dict[str, str]]:
    """The system up to its model, and the same model by AutoGluon beside it."""
    kept = [
        d
        for d in yaml.safe_load_all((system / "defs.yaml").read_text())
        if d["type"] in ("mlplatform.Table", "mlplatform.FeatureSet", "mlplatform.Model")
    ]
    for document in kept:
        sources = document["attributes"].get("sources")
        if sources:
            document["attributes"]["sources"] = [source for source in sources if "prefix" in source]
    model = kept[-1]["attributes"]
    automl = {name: value for name, value in model.items() if name not in ("search", "hyperparameters", "limits")}
    automl |= {"name": "automl", "container": "autogluon", "hyperparameters": {"time_limit_s": options.size(120, 20)}}
    kept.append({"type": "mlplatform.Model", "attributes": automl})
    write_system(
        scratch, system.name, yaml.safe_dump_all(kept), {"features.sql": (system / "features.sql").read_text()}
    )
    platform = open_platform(environment(scratch, scratch / "home"))
    return platform.system(system.name), {"ours": "automl", "peer": model["name"]}


def _asked(options: Options, packages: Mapping[str, Path], rows: Any) -> list[Any]:
    """Milliseconds a question, medians of a round, the two models in turns."""
    names = [field.name for field in read_package(packages["ours"]).signature.inputs]
    given = rows.select(names).to_pylist()
    many = (given * (1000 // len(given) + 1))[:1000]
    runtimes = PackageRuntimes()
    models = {side: runtimes.load(package) for side, package in packages.items()}

    def ask(side: str) -> Callable[[], Mapping[str, float]]:
        model = models[side]

        def measured() -> Mapping[str, float]:
            times = []
            for number in range(CALLS):
                began = time.perf_counter()
                model.predict_rows([given[number % len(given)]])
                times.append(time.perf_counter() - began)
            began = time.perf_counter()
            model.predict_rows(many)
            return {"one": statistics.median(times) * 1e3, "many": (time.perf_counter() - began) * 1e3}

        return measured

    ask("ours")(), ask("peer")()
    return paired(ask("ours"), ask("peer"), rounds=options.rounds(), say=lambda text: options.say(f"asked: {text}"))
