"""The shipped system under the shipped profile on AWS itself: from a file to a call that a SageMaker endpoint answers.

The environment is that of the profile `aws`; names are the test's own, and what it makes is removed. Arrivals are listed: a
bucket is not told to send notices to a queue that goes away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from mlplatform.platform import open_platform
from mlplatform.platform.removal import remove_system
from mlplatform.spec.profile import load_profile
from mlplatform_tests.aws.test_item_store import delete_table
from mlplatform_tests.components.site import PACKAGE
from mlplatform_tests.systems.aws_profile import SYSTEM, project
from mlplatform_tests.systems.test_stock_prices_trained_and_served_by_sagemaker import make_small, released

PROFILES = PACKAGE.parent / "profiles"


@pytest.fixture
def env(unique: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A project whose names are the test's own; all of it is removed afterwards."""
    schemas = f"{unique.replace('-', '_')}_"
    own = {
        "MLPLATFORM_PREFIX": f"{unique}/",
        "MLPLATFORM_STREAMS": f"{unique}-",
        "MLPLATFORM_TABLE": unique,
        "MLPLATFORM_PARAMETERS": f"/{unique}/",
        "MLPLATFORM_NAMESPACE": unique,
        "MLPLATFORM_REDSHIFT_SCHEMAS": schemas,
        "MLPLATFORM_SERVING_NAMES": f"t{unique[-8:]}",
        "MLPLATFORM_SERVING_INSTANCES": "1",
    }
    found = {**os.environ, **own, **project(tmp_path)}
    missing = [what for c in load_profile(found, [PROFILES]).connections.values() for what in c.unset()]
    if missing:
        pytest.skip("; ".join(missing))
    shipped: dict[str, Any] = yaml.safe_load((PROFILES / "aws.yaml").read_text("utf-8"))
    del shipped["connections"]["arrivals"]
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "aws.yaml").write_text(yaml.safe_dump(shipped), "utf-8")
    yield found
    with closing(open_platform(found)) as platform:
        remove_system(platform, SYSTEM)
        warehouse = platform.profile.connection("warehouse", port="warehouse").settings
        for info in list(platform.store.list("")):
            platform.store.delete(info.key)
    delete_table(unique)
    delete_streams(own["MLPLATFORM_STREAMS"])
    drop_schema(warehouse, f"{schemas}{SYSTEM}")


@pytest.mark.timeout(5400)
def test_it_is_trained_gated_released_and_answers_as_on_this_machine(env: dict[str, str], tmp_path: Path) -> None:
    make_small(Path(env["MLPLATFORM_DEFS"]) / SYSTEM / "defs.yaml")
    found = released(env)
    assert (found.told["status"], found.told["live_generation"]) == ("InService", 1)
    here = released({**env, "MLPLATFORM_PROFILE": "local", "MLPLATFORM_HOME": str(tmp_path / "embedded")})
    assert found.rows == here.rows
    assert found.metrics == pytest.approx(here.metrics, rel=1e-6)
    assert found.price == pytest.approx(here.price, rel=1e-4)


def delete_streams(prefix: str) -> None:
    """Streams of Kinesis whose names begin so."""
    client = boto3.client("kinesis")
    for name in client.list_streams()["StreamNames"]:
        if name.startswith(prefix):
            client.delete_stream(StreamName=name, EnforceConsumerDeletion=True)
    client.close()


def drop_schema(warehouse: dict[str, Any], name: str) -> None:
    """Drop the schema and its tables, by the Data API."""
    client = boto3.client("redshift-data")
    statement = client.execute_statement(
        WorkgroupName=warehouse["workgroup"],
        Database=warehouse["database"],
        Sql=f'DROP SCHEMA IF EXISTS "{name}" CASCADE',
    )
    deadline = time.monotonic() + 120
    while (state := client.describe_statement(Id=statement["Id"]))["Status"] not in ("FINISHED", "FAILED", "ABORTED"):
        assert time.monotonic() < deadline, state["Status"]
        time.sleep(0.5)
    client.close()
    assert state["Status"] == "FINISHED", state.get("Error")
