"""A profile's connection as dagster-aws's Redshift resource, in a user's own asset; and a system's tables by such a resource."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import dagster as dg
import pytest
from dagster_aws.redshift import RedshiftClientResource
from dagster_aws.s3 import S3Resource

from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.redshift_resource import redshift_resource, warehouse_of
from mlplatform.adapters.warehouse.redshift_settings import redshift_settings
from mlplatform.components.connection_resource import ConnectionResource
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import PermissionDeniedError, ProfileError
from mlplatform_tests.conformance.object_stores import s3_store
from mlplatform_tests.conformance.redshift_warehouse import redshift_warehouse
from mlplatform_tests.docs.walkthrough import blocks
from mlplatform_tests.servers.dagster_project import materialized, project
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.redshift.postgres import PASSWORD
from mlplatform_tests.servers.redshift.server import Redshift
from mlplatform_tests.servers.redshift.sockets import sockets

__all__ = ["sockets"]

ROOT = Path(__file__).parents[3]
LOCAL = ROOT / "profiles" / "local.yaml"
PAGE = ROOT / "docs" / "how-to" / "redshift.md"


@pytest.fixture
def resource(redshift_server: Redshift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConnectionResource:
    """Connection `red` of a project whose profile binds it to the server."""
    line = "warehouse: {port: warehouse, adapter: ducklake}"
    settings = json.dumps(redshift_server.settings)
    profile = LOCAL.read_text("utf-8").replace(
        line, f"{line}\n  red: {{port: warehouse, adapter: redshift, settings: {settings}}}"
    )
    for folder in ("profiles", "defs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "profiles" / "mine.yaml").write_text(profile.replace("name: local", "name: mine"), "utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "mine"\n', "utf-8")
    place = {"MLPLATFORM_HOME": str(tmp_path / "home"), "MLPLATFORM_PROFILE": "mine"}
    for name, value in {**redshift_server.secrets, **place}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return ConnectionResource(connection="red", defs=str(tmp_path / "defs"))


def test_a_users_own_asset_gets_the_profiles_connection(
    redshift_server: Redshift, resource: ConnectionResource
) -> None:
    warehouse = redshift_warehouse(redshift_server)
    warehouse.create(TableSchema("notes", (Column("id", "bigint"),)))
    found: list[str] = []

    @dg.asset
    def tables(red: dg.ResourceParam[RedshiftClientResource]) -> None:
        rows = red.get_client().execute_query(
            f"SELECT table_name FROM svv_columns WHERE table_schema = '{warehouse.system}'", fetch_results=True
        )
        found.extend(row[0] for row in rows)

    assert dg.materialize([tables], resources={"red": resource}).success
    assert "notes" in found
    warehouse.close()


def test_the_asset_of_the_page_counts_what_is_there(
    redshift_server: Redshift, resource: ConnectionResource, tmp_path: Path
) -> None:
    redshift_server.server.psql(
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.orders (late boolean)",
        "INSERT INTO sales.orders VALUES (true), (false)",
    )
    source = next(block.text for block in blocks(PAGE) if block.language == "python")
    (tmp_path / "page.py").write_text(source, "utf-8")
    names = runpy.run_path(str(tmp_path / "page.py"))
    result = dg.materialize([names["late_orders"]], resources={"redshift": resource})
    assert result.output_for_node("late_orders") == 1


def test_a_resource_that_a_user_configured_opens_a_systems_tables(redshift_server: Redshift) -> None:
    known = {name: redshift_server.settings[name] for name in ("host", "port", "user", "database")}
    right, wrong = (RedshiftClientResource(**known, password=p, sslmode="disable") for p in (PASSWORD, "wrong"))
    warehouse = warehouse_of(right, system="theirs")
    assert warehouse.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
    warehouse.close()
    with pytest.raises(PermissionDeniedError, match="password authentication failed"):
        warehouse_of(wrong, system="theirs").query("SELECT 1 AS one")


def test_what_one_side_does_not_know_is_named() -> None:
    with pytest.raises(ProfileError, match="does not say: password, database"):
        warehouse_of(RedshiftClientResource(host="h", user="u"), system="s")
    by_iam = redshift_settings({"access": "serverless", "workgroup": "w"})
    with pytest.raises(ProfileError, match="logs in by password, found access 'serverless'"):
        redshift_resource(by_iam, EnvironmentSecrets({}))


def test_a_systems_table_is_loaded_in_dagster_by_the_resources_that_a_user_configured(
    redshift_server: Redshift, ministack_server: Ministack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, known = s3_store(ministack_server), ministack_server.client_options
    bucket = first.url("").removeprefix("s3://").partition("/")[0]
    place = {"endpoint_url": known["endpoint_url"], "region": known["region_name"]}
    objects = {"port": "object_store", "adapter": "s3", "settings": {"bucket": bucket, "prefix": "own", **place}}
    settings = {**redshift_server.settings, "schema_prefix": "own_", "password_secret": "not_set"}
    warehouse = {"port": "warehouse", "adapter": "redshift", "settings": settings}
    where = {name: redshift_server.settings[name] for name in ("host", "port", "user", "database")}
    theirs = RedshiftClientResource(**where, password=dg.EnvVar("HOW"), sslmode="disable")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bound = {"warehouse": warehouse, "objects": objects}
    with project(tmp_path, bound, {"HOW": PASSWORD}, monkeypatch) as package:
        own = S3ObjectStore(bucket, "own", client_options=known)
        own.put("shop/notes/a.csv", b"id,text\n1,a\n2,b\n")
        assert materialized(package, {"warehouse": theirs, "objects": S3Resource(**known)}).success
        found = redshift_server.server.psql("SELECT id, text FROM own_shop.notes ORDER BY id")
        assert [tuple(row) for row in found] == [("1", "a"), ("2", "b")]

        failed = materialized(package, {"objects": S3Resource(**known)}).failure_data_for_node("shop__notes")
        assert failed is not None
        assert "not_set" in str(failed.error)
        other = RedshiftClientResource(**{**where, "database": "other"}, password=PASSWORD, sslmode="disable")
        failed = materialized(package, {"warehouse": other, "objects": S3Resource(**known)}).failure_data_for_node(
            "shop__notes"
        )
        assert failed is not None
        assert "The resource's database is 'other'" in str(failed.error)
        for opened in (own, first):
            opened.close()
