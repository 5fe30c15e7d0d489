"""Ways into Snowflake, and what is told where there is none; sessions that are gone."""

from __future__ import annotations

import json
import sys

import pytest
from pydantic import ValidationError

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.snowflake import SnowflakeWarehouse
from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import NotFoundError, PermissionDeniedError, ProfileError, UnavailableError
from mlplatform_tests.conformance.snowflake_warehouse import snowflake_warehouse
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.snowflake.server import PASSWORD, TOKEN, Snowflake

ONE = "SELECT 1 AS one"
NOTES = TableSchema("notes", (Column("id", "bigint"),))


@pytest.mark.parametrize(
    "settings",
    [{}, {"private_key_secret": "snowflake_key"}, {"oauth_token_secret": "snowflake_token"}],
    ids=["password", "key pair", "OAuth"],
)
def test_a_user_gets_in_by_each_way(snowflake_server: Snowflake, settings: dict[str, str]) -> None:
    found = snowflake_warehouse(snowflake_server, **settings, warehouse="LOADING", role="LOADER_ROLE")
    assert found.query(ONE).to_pylist() == [{"one": 1}]
    found.close()
    login = snowflake_server.logins()[-1]
    assert (login["warehouse"], login["roleName"], login["databaseName"]) == ("LOADING", "LOADER_ROLE", "ML")
    assert login["SESSION_PARAMETERS"]["TIMEZONE"] == "UTC"


@pytest.mark.parametrize(
    ("settings", "secret", "value", "said"),
    [
        ({}, "PASSWORD", "wrong-secret", "Incorrect username or password"),
        ({"oauth_token_secret": "snowflake_token"}, "TOKEN", "wrong-secret", "Invalid OAuth access token"),
    ],
)
def test_who_is_not_let_in_is_told_so_without_the_secret(
    snowflake_server: Snowflake, settings: dict[str, str], secret: str, value: str, said: str
) -> None:
    secrets = EnvironmentSecrets({**snowflake_server.secrets, f"MLPLATFORM_SECRET_SNOWFLAKE_{secret}": value})
    made = SnowflakeSettings.model_validate({**snowflake_server.settings, **settings})
    with pytest.raises(PermissionDeniedError, match=f"account 'standin'.*{said}") as error:
        SnowflakeWarehouse(made, secrets, system="s").query(ONE)
    assert value not in str(error.value)
    assert error.value.__cause__ is None


def test_a_key_that_is_none_is_named_without_its_text(snowflake_server: Snowflake) -> None:
    secrets = EnvironmentSecrets({"MLPLATFORM_SECRET_SNOWFLAKE_KEY": "-----BEGIN hidden-----"})
    made = SnowflakeSettings.model_validate({**snowflake_server.settings, "private_key_secret": "snowflake_key"})
    with pytest.raises(ProfileError, match=r"'snowflake_key' is no private key in PEM") as error:
        SnowflakeWarehouse(made, secrets, system="s").query(ONE)
    assert "hidden" not in str(error.value)


def test_a_role_that_may_not_write_is_told_what_it_lacks(snowflake_server: Snowflake) -> None:
    reader = snowflake_warehouse(snowflake_server, role="READER")
    with pytest.raises(
        PermissionDeniedError, match=r"Insufficient privileges.*Check user 'loader'.*role 'READER' and grants"
    ):
        reader.create(NOTES)
    reader.close()


def test_a_table_that_the_role_may_not_see_is_missing_and_the_message_says_that_it_may_be_hidden(
    snowflake_server: Snowflake,
) -> None:
    owner = snowflake_warehouse(snowflake_server)
    owner.create(NOTES)
    blind = snowflake_warehouse(snowflake_server, owner.system, role="BLIND")
    with pytest.raises(NotFoundError, match=r"no table 'notes'.*hides what a role may not see"):
        blind.query("SELECT id FROM notes")
    for found in (blind, owner):
        found.close()


def test_no_secret_is_in_what_was_sent_or_logged(snowflake_server: Snowflake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    other = snowflake_warehouse(snowflake_server)
    other.query(ONE)
    other.close()
    told = caplog.text + json.dumps(snowflake_server.statements())
    assert "SELECT 1" in told
    for secret in (PASSWORD, TOKEN, snowflake_server.private_key):
        assert secret not in told


def test_a_server_that_is_away_is_unavailable_by_account() -> None:
    settings = SnowflakeSettings(
        account="away", user="u", database="d", host="127.0.0.1", port=free_port(), protocol="http", connect_timeout_s=1
    )
    secrets = EnvironmentSecrets({"MLPLATFORM_SECRET_SNOWFLAKE_PASSWORD": "hidden"})
    with pytest.raises(UnavailableError, match="account 'away'") as error:
        SnowflakeWarehouse(settings, secrets, system="s").query(ONE)
    assert "hidden" not in str(error.value)


def test_a_missing_secret_is_named() -> None:
    settings = SnowflakeSettings(account="a", user="u", database="d")
    with pytest.raises(NotFoundError, match="MLPLATFORM_SECRET_SNOWFLAKE_PASSWORD"):
        SnowflakeWarehouse(settings, EnvironmentSecrets({}), system="s").query(ONE)


def test_without_the_driver_the_install_line_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snowflake.connector", None)
    settings = SnowflakeSettings(account="a", user="u", database="d")
    with pytest.raises(ProfileError, match=r"pip install 'mlplatform\[snowflake\]'"):
        SnowflakeWarehouse(settings, EnvironmentSecrets({}), system="s").query(ONE)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"pasword": "x"}, "pasword"),
        ({"private_key_secret": "a", "oauth_token_secret": "b"}, "expected one of"),
        ({"private_key_passphrase_secret": "a"}, "expected private_key_secret beside it"),
    ],
)
def test_settings_that_do_not_fit_are_refused(more: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SnowflakeSettings.model_validate({"account": "a", "user": "u", "database": "d", **more})


@pytest.mark.parametrize("do", ["end", "refuse"])
def test_a_query_in_a_session_that_is_gone_is_asked_again_once(snowflake_server: Snowflake, do: str) -> None:
    found = snowflake_warehouse(snowflake_server)
    found.query(ONE)
    gone = {"do": do, "code": "390114", "state": None, "message": "Authentication token has expired."}
    snowflake_server.fail("SELECT 1", **gone)
    assert found.query(ONE).to_pylist() == [{"one": 1}]
    snowflake_server.fail("SELECT 1", **gone, times=2)
    with pytest.raises(UnavailableError):
        found.query(ONE)
    assert found.query(ONE).to_pylist() == [{"one": 1}]
    found.close()
