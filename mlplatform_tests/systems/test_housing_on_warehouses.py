"""The housing system, its YAML as shipped, by nothing but the profile's connection: two hosts pull all districts from each warehouse."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from mlplatform.errors import JobError
from mlplatform_tests.conformance.hive_warehouse import hive_server
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.snowflake_warehouse import snowflake_server
from mlplatform_tests.conformance.team_ducklake import team_lake
from mlplatform_tests.systems.test_california_housing import DEFS, districts, make, rows_told
from mlplatform_tests.systems.test_stock_prices_on_warehouses import ENGINES, Bound

__all__ = ["districts", "hive_server", "ministack_server", "redshift_server", "snowflake_server", "team_lake"]


def profile(bound: Bound, folder: Path) -> dict[str, str]:
    """A project's profile, as the shipped one but for the warehouse; the environment that chooses it."""
    local = yaml.safe_load((DEFS.parents[1] / "profiles" / "local.yaml").read_text("utf-8"))
    local["name"] = "bound"
    local["connections"]["warehouse"] = {"port": "warehouse", **bound.warehouse}
    if bound.objects is not None:
        local["connections"]["objects"] = {"port": "object_store", **bound.objects}
    (folder / "profiles").mkdir()
    (folder / "profiles" / "bound.yaml").write_text(yaml.safe_dump(local), "utf-8")
    (folder / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "mine"\n', "utf-8")
    return {"MLPLATFORM_PROFILE": "bound", **(bound.secrets or {})}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ENGINES)
def test_two_hosts_learn_all_districts_from_another_warehouse_with_secrets_that_are_told_nowhere(
    engine: str, request: pytest.FixtureRequest, districts: pa.Table, tmp_path: Path
) -> None:
    bound = ENGINES[engine](request, tmp_path)
    housing = make(tmp_path, **profile(bound, tmp_path))
    assert housing.load(districts) == 20_640
    trained, lines = housing.refresh("run-1")
    snapshot = housing.stations.features("housing_features").latest()
    for channel, rows in snapshot.rows.items():
        told = rows_told(lines, channel)
        assert len(told) == 2
        assert sum(told) == rows
    assert (sum(snapshot.rows.values()), snapshot.rows["test"]) == (20_640, 4086)
    assert trained.metadata["rmse"] == pytest.approx(0.45, abs=0.01)

    jobs = housing.platform.home.jobs
    secrets = [value for name, value in (bound.secrets or {}).items() if name.startswith("MLPLATFORM_SECRET_")]
    assert secrets != []
    for secret in secrets:
        told_in = [path for path in jobs.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        assert told_in == []

    if not housing.stations.warehouse().capabilities.snapshots:
        # Rows that were loaded since make another snapshot; the old one is no longer to be had.
        assert housing.load(districts.slice(0, 1).set_column(0, "district", pa.array([20_641])), "more") == 1
        with pytest.raises(JobError, match="The rows are gone as they were: the warehouse keeps no snapshots"):
            housing.stations.training("house_value").train(snapshot, run_id="run-2", code_version="another")
    housing.platform.close()
