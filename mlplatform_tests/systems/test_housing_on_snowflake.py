"""The housing system, its YAML as shipped, on a profile that binds its warehouse to Snowflake: jobs pull rows with credentials."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from mlplatform.errors import JobError
from mlplatform_tests.conformance.snowflake_warehouse import snowflake_server
from mlplatform_tests.servers.snowflake.server import Snowflake
from mlplatform_tests.systems.test_california_housing import DEFS, QUICK, districts, make, rows_told

__all__ = ["districts", "snowflake_server"]


@pytest.mark.slow
def test_two_hosts_pull_their_rows_from_snowflake_with_a_secret_that_is_told_nowhere(
    snowflake_server: Snowflake, districts: pa.Table, tmp_path: Path
) -> None:
    profile = yaml.safe_load((DEFS.parents[1] / "profiles" / "local.yaml").read_text("utf-8"))
    profile["connections"]["warehouse"].update(adapter="snowflake", settings=snowflake_server.settings)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "flake.yaml").write_text(yaml.safe_dump({**profile, "name": "flake"}), "utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "mine"\n', "utf-8")
    housing = make(tmp_path, QUICK, ("hosts: 2", "hosts: 2"), MLPLATFORM_PROFILE="flake", **snowflake_server.secrets)
    assert housing.load(districts.slice(0, 3000)) == 3000
    trained, lines = housing.refresh("run-1")
    assert sum(rows_told(lines, "train")) == housing.stations.features("housing_features").latest().rows["train"]
    assert len(rows_told(lines, "train")) == 2
    assert trained.metadata["r2"] > 0.6

    jobs = housing.platform.home.jobs
    for secret in snowflake_server.secrets.values():
        told = [path for path in jobs.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        assert told == []

    # Without snapshots, rows that were loaded since make another snapshot; the old one is no longer to be had.
    before = housing.stations.features("housing_features").latest()
    assert housing.load(districts.slice(3000, 100), "more") == 100
    training = housing.stations.training("house_value")
    with pytest.raises(JobError, match="The rows are gone as they were: the warehouse keeps no snapshots"):
        training.train(before, run_id="run-2", code_version="another")
    housing.platform.close()
