"""Snowflake as a warehouse under test: a schema of its own on one server a session."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.snowflake import SnowflakeWarehouse
from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings
from mlplatform_tests.servers.snowflake.server import Snowflake, snowflake


@pytest.fixture(scope="session")
def snowflake_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snowflake]:
    with snowflake(tmp_path_factory.mktemp("snowflake")) as server:
        yield server


def snowflake_warehouse(server: Snowflake, system: str | None = None, **settings: Any) -> SnowflakeWarehouse:
    """The warehouse of `system`, or of one that is new."""
    made = SnowflakeSettings.model_validate({**server.settings, **settings})
    return SnowflakeWarehouse(made, EnvironmentSecrets(server.secrets), system=system or f"s{uuid.uuid4().hex[:12]}")
