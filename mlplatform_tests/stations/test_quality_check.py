"""Quality of classifiers and regressors on the same rows, scored by real packages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.core.loads.plan import LoadPlan, ParquetFormat
from mlplatform.core.packages.manifest import Task
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.monitor import QualitySpec
from mlplatform.stations.predictions import Pairs, scored
from mlplatform.stations.quality_check import check_quality
from mlplatform_tests.packages import make_package, make_table

TARGETS = {"regression": "price", "binary": "rises", "multiclass": "tier"}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> DuckLakeWarehouse:
    root = tmp_path_factory.mktemp("rows")
    store = DirectoryObjectStore(root / "objects")
    pq.write_table(make_table(seed=1), root / "rows.parquet")
    info = store.put("rows.parquet", root / "rows.parquet")
    types = {"change": "double", "price": "double"}
    names = ("ticker_symbol", "sector", "change", "price", "rises", "tier")
    schema = TableSchema("rows_", tuple(Column(n, types.get(n, "varchar")) for n in names))
    made = DuckLakeWarehouse(root / "warehouse", threads=1)
    made.create(schema)
    guard = made.guard("rows_", "objects/")
    plan = LoadPlan(
        "rows_", guard.shard, guard.last, "1", guard.epoch, info.key, info.etag, info.size_bytes, ParquetFormat()
    )
    assert made.load(plan, schema, store).loaded == 300
    return made


def features(target: str) -> FeatureSetSpec:
    names = ("ticker_symbol", "sector", "change")
    return FeatureSetSpec.model_validate(
        {
            "name": "f",
            "table": "rows_",
            "query": "q.sql",
            "target": target,
            "features": [{"name": n, "transform": "numeric" if n == "change" else "category"} for n in names],
            "split": {"key": ["ticker_symbol"]},
        }
    )


@pytest.mark.parametrize(
    ("task", "metric", "threshold"),
    [
        ("regression", "r2", 0.9),
        ("regression", "rmse", 15.0),
        ("binary", "roc_auc", 0.9),
        ("binary", "f1", 0.9),
        ("multiclass", "accuracy", 0.8),
        ("multiclass", "log_loss", 1.0),
    ],
)
def test_a_good_model_passes_by_each_kind_of_metric_and_fails_where_more_is_asked(
    warehouse: DuckLakeWarehouse, tmp_path: Path, task: Task, metric: str, threshold: float
) -> None:
    digest = make_package(tmp_path / "package", task=task)
    model = PackageRuntimes().load(tmp_path / "package", digest=digest)
    spec = features(TARGETS[task])
    pairs = scored(warehouse, model, "(SELECT * FROM rows_)", spec, segments=["sector"])
    found = check_quality(pairs, QualitySpec(metric=metric, threshold=threshold), target=spec.target)
    assert (len(pairs), found.failed, found.outcome.passed) == (300, False, True)
    assert found.value == found.outcome.metadata["value"]
    assert {s["value"] for s in found.outcome.metadata["segments"]} <= {
        "Energy",
        "Financials",
        "Information Technology",
    }
    impossible = -1.0 if metric in ("rmse", "log_loss") else 1.1
    assert check_quality(pairs, QualitySpec(metric=metric, threshold=impossible), target=spec.target).failed


def test_a_class_the_model_does_not_know_is_left_out(warehouse: DuckLakeWarehouse, tmp_path: Path) -> None:
    model = PackageRuntimes().load(tmp_path / "p", digest=make_package(tmp_path / "p", task="binary"))
    relation = "(SELECT * REPLACE (CASE WHEN ticker_symbol = 'XOM' THEN 'perhaps' ELSE rises END AS rises) FROM rows_)"
    others = warehouse.query("SELECT count(*) FROM rows_ WHERE ticker_symbol <> 'XOM'").column(0)[0].as_py()
    assert len(scored(warehouse, model, relation, features("rises"))) == others


def test_segments_come_worst_first() -> None:
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    pairs = Pairs(truth, truth + np.array([0.0, 0.0, 1.0, 1.0]), {"side": ["left", "left", "right", "right"]})
    found = check_quality(pairs, QualitySpec(metric="mae", threshold=0.6, minimum_rows=1), target="y")
    assert [(s["value"], s["rows"], s["mae"]) for s in found.outcome.metadata["segments"]] == [
        ("right", 2, 1.0),
        ("left", 2, 0.0),
    ]
    assert found.outcome.description == "mae of predicted against arrived y: 0.5 ≤ 0.6"


def test_a_metric_that_is_not_defined_is_not_judged() -> None:
    constant = np.ones(60)
    found = check_quality(Pairs(constant, constant, {}), QualitySpec(metric="r2", threshold=0.6), target="y")
    assert (found.value, found.failed) == (None, False)
    assert found.outcome.description == "not judged: r2 is not defined on these rows"
