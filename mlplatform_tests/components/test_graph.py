"""The asset graph that the shipped systems make, as Dagster sees it; loading it takes no home and no credentials."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mlplatform.components.station import code_version
from mlplatform.definitions import build
from mlplatform.spec.refresh import RefreshSpec
from mlplatform_tests.components.site import PACKAGE

GRAPH = {
    # asset: (what it is made from, kinds, pool)
    "stock_stream": (set(), {"stream"}, set()),
    "stock_stream_landing": ({"stock_stream"}, {"file"}, set()),
    "stock_table": ({"stock_stream_landing"}, {"table"}, set()),
    "warehouse_upkeep": ({"stock_table"}, {"task"}, set()),
    "stock_features": ({"stock_table"}, {"parquet"}, {"stock_prices"}),
    "stock_model_candidate": ({"stock_features"}, {"xgboost", "mlflow"}, {"stock_prices"}),
    "stock_model": ({"stock_model_candidate"}, {"mlflow"}, {"stock_prices"}),
    "stock_prices": ({"stock_model"}, {"endpoint"}, {"stock_prices"}),
    "stock_prices_capture": ({"stock_prices"}, {"table"}, set()),
    "stock_monitor": ({"stock_prices", "stock_table"}, {"greatexpectations"}, set()),
}
BATCHES = {
    "housing": (set(), {"table"}, set()),
    "warehouse_upkeep": ({"housing"}, {"task"}, set()),
    "housing_features": ({"housing"}, {"sql"}, {"california_housing"}),
    "house_value_candidate": ({"housing_features"}, {"xgboost", "mlflow"}, {"california_housing"}),
    "house_value": ({"house_value_candidate"}, {"mlflow"}, {"california_housing"}),
}
SYSTEMS = {"stock_prices": GRAPH, "california_housing": BATCHES}
CHECKS = {
    # (asset, check): whether it blocks
    ("stock_table", "receipts_balance"): True,
    ("stock_table", "quarantine_empty"): False,
    ("stock_features", "data_tests"): True,
    ("stock_model_candidate", "gate"): True,
    ("stock_monitor", "quality"): False,
    ("stock_monitor", "corrections"): False,
    ("stock_monitor", "drift_ticker_symbol"): False,
    ("stock_monitor", "drift_sector"): False,
    ("stock_monitor", "drift_change"): False,
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build(PACKAGE)


def nodes(definitions: dg.Definitions, system: str = "stock_prices") -> dict[str, Any]:
    graph = definitions.resolve_asset_graph()
    return {key.path[-1]: graph.get(key) for key in graph.get_all_asset_keys() if key.path[0] == system}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_graph_leads_from_rows_to_what_uses_the_model(definitions: dg.Definitions, system: str) -> None:
    found = {
        name: ({p.path[-1] for p in node.parent_keys}, set(node.kinds), set(node.pools or ()))
        for name, node in nodes(definitions, system).items()
    }
    assert found == SYSTEMS[system]
    assert not nodes(definitions)["stock_stream"].is_executable


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_asset_has_the_systems_key_group_owner_and_words(definitions: dg.Definitions, system: str) -> None:
    for name, node in nodes(definitions, system).items():
        assert node.key.path == [system, name]
        assert (node.group_name, node.owners) == (system, ["team:data"])
        assert len(node.description or "") > 20, name
        assert len(node.code_version or "") == 12, name


def test_checks_are_there_and_the_right_ones_block(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    specs = [graph.get_check_spec(key) for key in graph.asset_check_keys]
    found = {(s.asset_key.path[-1], s.name): s.blocking for s in specs if s.asset_key.path[0] == "stock_prices"}
    assert found == CHECKS


def test_sensors_schedules_and_jobs_are_on(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    on = dg.DefaultSensorStatus.RUNNING
    ours = [s for s in repository.sensor_defs if s.name.startswith("stock_prices")]
    assert {s.name: s.default_status for s in ours} == {
        "stock_prices_stock_table_arrivals": on,
        "stock_prices_stock_monitor_due": on,
        "stock_prices_stock_refresh_canceled": on,
        "stock_prices_stock_refresh_failed": on,
        "stock_prices_stock_refresh_requests": on,
        "stock_prices_stock_notifications_failures": on,
        "stock_prices_stock_prices_approved": on,
    }
    times = [s for s in repository.schedule_defs if s.name.startswith("stock_prices")]
    assert {s.name: (s.cron_schedule, s.default_status) for s in times} == {
        "stock_prices_stock_refresh_schedule": ("0 6 * * *", dg.DefaultScheduleStatus.RUNNING),
        "stock_prices_warehouse_upkeep_nightly": ("30 3 * * *", dg.DefaultScheduleStatus.RUNNING),
    }
    job = definitions.resolve_job_def("stock_prices_stock_refresh")
    assert {n.name for n in job.nodes} == {
        f"stock_prices__{n}" for n in ("stock_features", "stock_model_candidate", "stock_model", "stock_prices")
    }


def test_the_table_shows_its_columns_with_types_bounds_and_words(definitions: dg.Definitions) -> None:
    shown = nodes(definitions)["stock_table"].metadata["dagster/column_schema"]
    columns = {c.name: c for c in shown.columns}
    assert [(n, c.type) for n, c in columns.items()] == [
        ("ticker_symbol", "varchar"),
        ("sector", "varchar"),
        ("change", "double"),
        ("price", "double"),
        ("trading_day", "date"),
    ]
    assert (columns["price"].constraints.nullable, columns["price"].constraints.other) == (False, ["≥ 0.0"])
    assert columns["change"].constraints.nullable
    assert columns["sector"].description == "GICS sector."


def test_the_code_version_follows_what_is_asked_for_and_not_the_words() -> None:
    spec = RefreshSpec(name="refresh", endpoint="prices", description="Daily.")
    said = spec.model_copy(update={"description": "Every day.", "owners": ["team:ml"]})
    asked = spec.model_copy(update={"schedule": "0 7 * * *"})
    assert code_version(spec) == code_version(said)
    assert len({code_version(spec), code_version(asked), code_version(spec, "SELECT 1")}) == 3


def test_definitions_load_without_home_profile_or_credentials(tmp_path: Path) -> None:
    kept = ("PATH", "LANG", "VIRTUAL_ENV")
    env = {n: os.environ[n] for n in kept if n in os.environ}
    program = (
        "import sys, mlplatform.definitions as d; d = d.defs();"
        "print(len(d.resolve_asset_graph().get_all_asset_keys()));"
        "print([m for m in ('duckdb', 'mlflow', 'xgboost', 'great_expectations', 'snowflake') if m in sys.modules])"
    )
    env |= {"HOME": str(tmp_path), "MLPLATFORM_PROFILE": "none-such"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == [str(sum(map(len, SYSTEMS.values()))), "[]"]
    assert list(tmp_path.iterdir()) == []
