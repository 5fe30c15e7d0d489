"""Connections of a profile as resources of Dagster's integrations: S3 here, Snowflake beside its server."""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster_aws.s3 import S3Resource

from mlplatform.adapters.object_store.s3_resource import store_of
from mlplatform.components.connection_resource import ConnectionResource
from mlplatform.errors import ProfileError
from mlplatform_tests.components.site import PACKAGE
from mlplatform_tests.conformance.object_stores import ministack_server, s3_store
from mlplatform_tests.servers.ministack.server import Ministack

__all__ = ["ministack_server"]


@pytest.fixture
def project(tmp_path: Path, ministack_server: Ministack, monkeypatch: pytest.MonkeyPatch) -> Path:
    profile = yaml.safe_load((PACKAGE.parent / "profiles" / "local.yaml").read_text("utf-8"))
    settings = {"bucket": "b", "endpoint_url": ministack_server.endpoint_url, "region": "us-east-1"}
    profile["connections"]["lake"] = {"port": "object_store", "adapter": "s3", "settings": settings}
    for folder in ("profiles", "defs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "profiles" / "mine.yaml").write_text(yaml.safe_dump({**profile, "name": "mine"}), "utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "mine"\n', "utf-8")
    for name, value in {
        "MLPLATFORM_HOME": str(tmp_path / "home"),
        "MLPLATFORM_PROFILE": "mine",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_a_users_own_asset_gets_the_profiles_object_store(project: Path, ministack_server: Ministack) -> None:
    store = s3_store(ministack_server)
    bucket = store.url("").removeprefix("s3://").partition("/")[0]
    found: list[str] = []

    @dg.asset
    def buckets(lake: dg.ResourceParam[S3Resource]) -> None:
        found.extend(bucket["Name"] for bucket in lake.get_client().list_buckets()["Buckets"])

    resource = ConnectionResource(connection="lake", defs=str(project / "defs"))
    assert dg.materialize([buckets], resources={"lake": resource}).success
    assert bucket in found
    store.close()


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        (
            "warehouse",
            "no Dagster resource for a connection of adapter 'ducklake'; there are for: redshift, s3, snowflake",
        ),
        ("sea", "Profile 'mine' has no connection 'sea'; it has: .*lake"),
    ],
)
def test_a_connection_that_is_none_of_an_integration_is_named(project: Path, connection: str, message: str) -> None:
    @dg.asset
    def asks(it: dg.ResourceParam[object]) -> None: ...

    resource = ConnectionResource(connection=connection, defs=str(project / "defs"))
    with pytest.raises(dg.DagsterError) as error:
        dg.materialize([asks], resources={"it": resource})
    assert isinstance(error.value.__cause__, ProfileError)
    assert re.search(message, str(error.value.__cause__))


def test_a_resource_that_a_user_configured_opens_a_buckets_objects(ministack_server: Ministack) -> None:
    known, first = ministack_server.client_options, s3_store(ministack_server)
    bucket = first.url("").removeprefix("s3://").partition("/")[0]
    store = store_of(S3Resource(**known), bucket, prefix="theirs")
    store.put("a.csv", b"1")
    assert [(found.key, found.size_bytes) for found in store.list("")] == [("a.csv", 1)]
    store.close()
    first.close()


def test_a_resource_that_a_store_cannot_be_made_of_is_told_why() -> None:
    with pytest.raises(ProfileError, match=r"with profile_name\. Give it keys"):
        store_of(S3Resource(profile_name="mine"), "b")
