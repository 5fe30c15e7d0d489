"""A profile's connection as dagster-snowflake's resource, in a user's own asset; and a system's tables by such a resource."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_snowflake import SnowflakeResource

from mlplatform.adapters.warehouse.snowflake_resource import warehouse_of
from mlplatform.components.connection_resource import ConnectionResource
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import PermissionDeniedError, ProfileError
from mlplatform.platform import open_platform
from mlplatform_tests.conformance.snowflake_warehouse import snowflake_warehouse
from mlplatform_tests.servers.dagster_project import materialized, project
from mlplatform_tests.servers.snowflake.server import PASSWORD, Snowflake

LOCAL = Path(__file__).parents[3] / "profiles" / "local.yaml"
WAYS = [{}, {"private_key_secret": "snowflake_key"}, {"oauth_token_secret": "snowflake_token"}]


@pytest.mark.parametrize("way", WAYS, ids=["password", "key pair", "OAuth"])
def test_a_users_own_asset_gets_the_profiles_connection(
    snowflake_server: Snowflake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: dict[str, str]
) -> None:
    warehouse = snowflake_warehouse(snowflake_server)
    warehouse.create(TableSchema("notes", (Column("id", "bigint"),)))
    line = "warehouse: {port: warehouse, adapter: ducklake}"
    settings = json.dumps({**snowflake_server.settings, **way, "warehouse": "LOADING"})
    profile = LOCAL.read_text("utf-8").replace(
        line, f"{line}\n  flake: {{port: warehouse, adapter: snowflake, settings: {settings}}}"
    )
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.yaml").write_text(profile.replace("name: local", "name: mine"), "utf-8")
    (tmp_path / "defs").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "mine"\n', "utf-8")
    for name, value in {
        **snowflake_server.secrets, "MLPLATFORM_HOME": str(tmp_path / "home"), "MLPLATFORM_PROFILE": "mine",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    found: list[str] = []

    @dg.asset
    def tables(flake: dg.ResourceParam[SnowflakeResource]) -> None:
        with flake.get_connection() as connection:
            rows = connection.cursor().execute(f"SHOW TABLES IN SCHEMA {warehouse.system.upper()}").fetchall()
        found.extend(row[1] for row in rows)

    monkeypatch.chdir(tmp_path)
    resource = ConnectionResource(connection="flake", defs=str(tmp_path / "defs"))
    assert dg.materialize([tables], resources={"flake": resource}).success
    assert "NOTES" in found
    assert snowflake_server.logins()[-1]["warehouse"] == "LOADING"
    warehouse.close()


def test_a_resource_that_a_user_configured_opens_a_systems_tables(snowflake_server: Snowflake) -> None:
    place = {name: snowflake_server.settings[name] for name in ("host", "port", "protocol")}
    known = {"account": "standin", "user": "loader", "database": "ML", "additional_snowflake_connection_args": place}
    for way in ({"password": PASSWORD}, {"private_key": snowflake_server.private_key}):
        warehouse = warehouse_of(SnowflakeResource(**known, **way), system="theirs")
        assert warehouse.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
        warehouse.close()
    with pytest.raises(PermissionDeniedError, match="Incorrect username or password"):
        warehouse_of(SnowflakeResource(**known, password="wrong"), system="theirs").query("SELECT 1 AS one")


def test_a_resource_that_does_not_say_enough_is_refused() -> None:
    with pytest.raises(ProfileError, match="does not say: database"):
        warehouse_of(SnowflakeResource(account="a", user="u", password="x"), system="s")
    with pytest.raises(ProfileError, match="does not say: password or private_key"):
        warehouse_of(
            SnowflakeResource(account="a", user="u", database="d", authenticator="externalbrowser"), system="s"
        )


def test_a_systems_table_is_loaded_in_dagster_by_the_resource_that_a_user_configured(
    snowflake_server: Snowflake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {name: snowflake_server.settings[name] for name in ("host", "port", "protocol")}
    settings = {**snowflake_server.settings, "schema_prefix": "own_", "password_secret": "not_set"}
    connection = {"port": "warehouse", "adapter": "snowflake", "settings": settings}
    known: dict[str, Any] = {"account": "standin", "database": "ML", "additional_snowflake_connection_args": place}
    theirs = SnowflakeResource(**known, user=dg.EnvVar("WHO"), password=dg.EnvVar("HOW"), warehouse="LOADING")
    with project(tmp_path, {"warehouse": connection}, {"WHO": "loader", "HOW": PASSWORD}, monkeypatch) as package:
        platform = open_platform({**os.environ, "MLPLATFORM_DEFS": str(package / "defs")})
        platform.store.put("shop/notes/a.csv", b"id,text\n1,a\n2,b\n")
        assert materialized(package, {"warehouse": theirs}).success
        assert snowflake_server.logins()[-1]["warehouse"] == "LOADING"
        warehouse = snowflake_warehouse(snowflake_server, "shop", schema_prefix="own_")
        assert warehouse.query("SELECT id, text FROM notes ORDER BY id").to_pylist() == [
            {"id": 1, "text": "a"},
            {"id": 2, "text": "b"},
        ]
        warehouse.close()

        # Without it the profile's own settings hold, and they name a secret that is not there.
        failed = materialized(package, {}).failure_data_for_node("shop__notes")
        assert failed is not None
        assert "not_set" in str(failed.error)
        elsewhere = SnowflakeResource(**{**known, "database": "OTHER"}, user="loader", password=PASSWORD)
        failed = materialized(package, {"warehouse": elsewhere}).failure_data_for_node("shop__notes")
        assert failed is not None
        assert "The resource's database is 'OTHER', the connection's 'ML'" in str(failed.error)
        platform.close()
