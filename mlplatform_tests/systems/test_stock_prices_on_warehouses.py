"""The shipped system on every warehouse, by nothing but the profile's connection: the same rows, metrics and verdicts.

The short form takes 120 trading days through load, features, training, gate and registry, and judges a window of days that
follow. The long one is the demo's whole loop, as `test_stock_prices` sees it on the embedded warehouse.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.csv as pacsv
import pytest
import yaml

import mlplatform
from mlplatform.platform import SystemStations, open_platform
from mlplatform.platform.line import build_features, judge_windows, register_candidate, train_candidate
from mlplatform.ports.endpoints import Deployment
from mlplatform_tests.conformance.hive_warehouse import hive_server
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.snowflake_warehouse import snowflake_server
from mlplatform_tests.conformance.team_ducklake import TeamLake, team_lake
from mlplatform_tests.prices import price_rows
from mlplatform_tests.systems.demo import whole_loop

__all__ = ["hive_server", "ministack_server", "redshift_server", "snowflake_server", "team_lake"]

pytestmark = pytest.mark.timeout(600)

PACKAGE = Path(mlplatform.__path__[0])
SYSTEM = "stock_prices"
BASE, AFTER = 120, 63
OFTEN = {"min_batch_interval_s": 2}
"""These servers have nothing else to do."""

DEFINITIONS = """from pathlib import Path

import dagster as dg
from mlplatform.definitions import build


@dg.definitions
def defs() -> dg.Definitions:
    return build(Path(__file__).parent)
"""

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Bound:
    """A profile's warehouse connection, the store it needs (None: a directory will do), and secrets in the environment."""

    warehouse: dict[str, Any]
    objects: dict[str, Any] | None = None
    secrets: dict[str, str] | None = None


def ducklake_team(request: pytest.FixtureRequest, folder: Path) -> Bound:
    lake: TeamLake = request.getfixturevalue("team_lake")
    settings = lake.settings().model_dump()
    return Bound(
        {"adapter": "ducklake", "settings": {**settings, "schema_prefix": "s1_", "prefix": "s1"}},
        secrets=lake.secrets,
    )


def redshift(request: pytest.FixtureRequest, folder: Path) -> Bound:
    lake: TeamLake = request.getfixturevalue("team_lake")  # its bucket, and where boto3 finds credentials
    found = lake.settings()
    settings = request.getfixturevalue("redshift_server").settings
    return Bound(
        {"adapter": "redshift", "settings": {**settings, **OFTEN, "schema_prefix": "s1_"}},
        {"adapter": "s3", "settings": {"bucket": found.bucket, "prefix": "s1", "endpoint_url": found.endpoint_url}},
        request.getfixturevalue("redshift_server").secrets,
    )


def snowflake(request: pytest.FixtureRequest, folder: Path) -> Bound:
    server = request.getfixturevalue("snowflake_server")
    return Bound({"adapter": "snowflake", "settings": {**server.settings, **OFTEN}}, secrets=server.secrets)


def hive(request: pytest.FixtureRequest, folder: Path) -> Bound:
    server = request.getfixturevalue("hive_server")
    store = {"adapter": "directory", "settings": {"path": str(folder / "rows")}}
    return Bound({"adapter": "hive", "settings": {**server.settings, **OFTEN, "store": store}}, secrets=server.secrets)


ENGINES: dict[str, Callable[[pytest.FixtureRequest, Path], Bound]] = {
    "ducklake-team": ducklake_team,
    "redshift": redshift,
    "snowflake": snowflake,
    "hive": hive,
}


@dataclass(frozen=True)
class Gone:
    """What the system did: rows by channel, metrics, the version, and what was judged of the days that followed."""

    rows: dict[str, int]
    metrics: dict[str, float]
    version: int
    window_rows: int
    quality: float | None
    failed: tuple[str, ...]
    psi: dict[str, float]
    receipts: list[tuple[int, int, int, int]]


def project(bound: Bound, folder: Path) -> dict[str, str]:
    """A project of the shipped system alone, its profile bound so; the environment that chooses it."""
    package = folder / "shop"
    shutil.copytree(PACKAGE / "defs" / SYSTEM, package / "defs" / SYSTEM)
    (package / "__init__.py").touch()
    (package / "definitions.py").write_text(DEFINITIONS)
    (folder / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "shop"\n')
    local = PACKAGE.parent / "profiles" / "local.yaml"
    profile = yaml.safe_load(local.read_text())
    profile["name"] = "bound"
    profile["connections"]["warehouse"] = {"port": "warehouse", **bound.warehouse}
    if bound.objects is not None:
        profile["connections"]["objects"] = {"port": "object_store", **bound.objects}
    (folder / "profiles").mkdir()
    (folder / "profiles" / "bound.yaml").write_text(yaml.safe_dump(profile))
    return {
        "MLPLATFORM_HOME": str(folder / "home"),
        "MLPLATFORM_DEFS": str(package / "defs"),
        "MLPLATFORM_PROFILE": "bound",
        **(bound.secrets or {}),
    }


def go(bound: Bound, folder: Path) -> Gone:
    """The system from its first file to the first window judged, on a home of its own."""
    with closing(open_platform(project(bound, folder))) as platform:
        stations = platform.system(SYSTEM)
        stations.prepare()
        assert load(stations, 0, BASE) == BASE * 20
        # The same rows under another name: the receipt says so, and no row is there twice.
        assert load(stations, 0, BASE, name="again") == 0
        build_features(stations, "stock_features", parameters={}, run_id="run-1", request=None)
        train_candidate(stations, "stock_model", run_id="run-1", request=None, on_log=lambda _: None)
        register_candidate(stations, "stock_model", run_id="run-1")
        snapshot = stations.features("stock_features").latest(run_id="run-1")
        version = stations.registry("stock_model").versions()[-1]
        deploy(stations, version)
        assert load(stations, BASE, BASE + AFTER) == AFTER * 20
        (judged,) = judge_windows(stations, "stock_monitor", NOW)
        receipts = [
            (r.arrived, r.loaded, r.quarantined, r.duplicates) for r in stations.receipts("stock_table", limit=None)
        ]
        return Gone(
            dict(snapshot.rows),
            {name: value for name, value in version.metrics.items() if name in ("r2", "rmse", "mae")},
            version.version,
            judged.rows,
            judged.quality,
            judged.failed,
            {str(d["feature"]): float(d["psi"]) for d in judged.drift},
            receipts,
        )


def load(stations: SystemStations, first: int, last: int, *, name: str = "base") -> int:
    file = io.BytesIO()
    pacsv.write_csv(price_rows(first, last), file)
    stations.platform.store.put(f"stock_prices/base/{name}-{first:05d}.csv", file.getvalue())
    ingest = stations.ingest("stock_table")
    ingest.create()
    return sum(receipt.loaded for receipt in ingest.run())


def deploy(stations: SystemStations, version: Any) -> None:
    stations.platform.endpoints.deploy(
        Deployment(
            endpoint=f"{SYSTEM}/stock_prices",
            generation=1,
            model=version.model,
            version=version.version,
            digest=version.digest,
            reason="refresh",
            run_id="run-1",
            created_at=NOW.isoformat(),
        )
    )


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Gone:
    return go(Bound({"adapter": "ducklake"}), tmp_path_factory.mktemp("embedded"))


def test_the_embedded_one_takes_it_from_file_to_verdict(embedded: Gone) -> None:
    assert sum(embedded.rows.values()) == BASE * 20
    assert embedded.metrics["r2"] > 0.6
    assert set(embedded.psi) == {"ticker_symbol", "sector", "change"}
    assert (embedded.version, embedded.window_rows) == (1, AFTER * 20)
    assert embedded.receipts == [(2400, 2400, 0, 0), (2400, 0, 0, 2400), (1260, 1260, 0, 0)]


@pytest.mark.parametrize("engine", ENGINES)
def test_another_warehouse_gives_the_same_rows_metrics_and_verdicts(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, embedded: Gone
) -> None:
    found = go(ENGINES[engine](request, tmp_path), tmp_path)
    assert (found.rows, found.version, found.window_rows) == (embedded.rows, embedded.version, embedded.window_rows)
    assert found.receipts == embedded.receipts
    assert found.metrics == pytest.approx(embedded.metrics, rel=1e-9)
    assert found.quality == pytest.approx(embedded.quality, rel=1e-9)
    assert found.failed == embedded.failed
    assert found.psi == pytest.approx(embedded.psi, rel=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_whole_loop_runs_on_another_warehouse_as_on_the_embedded_one(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bound = project(ENGINES[engine](request, tmp_path), tmp_path)
    facts = whole_loop({**os.environ, **bound}, tmp_path / "report.json")
    assert facts["rows"] == 153_580 + 10 + 12_680
    assert facts["sample_rows"] == [10, 0, 0]
    assert facts["unload_loads"] == 0
    found = [facts[f"quarter_{n}"]["r2"] for n in range(1, 6)]
    assert found == pytest.approx([0.88, 0.84, 0.77, 0.68, 0.57], abs=0.03)
    assert [facts[f"quarter_{n}"]["passed"] for n in range(1, 6)] == [True, True, True, True, False]
    assert facts["retrainings_in_quiet_quarter"] == 0
    assert facts["retraining"]["request"]["evaluation_id"] == facts["quarter_5"]["evaluation"]
    assert facts["retraining"]["verdict"]["outcome"] == "better"
    assert facts["failed_calls"] == 0
    assert set(facts["answers_by_generation"]) == {"1", "2"}
