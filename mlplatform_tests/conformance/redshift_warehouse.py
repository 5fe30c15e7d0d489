"""Redshift as a warehouse under test: a schema of its own on one server a session."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.redshift import RedshiftWarehouse
from mlplatform.adapters.warehouse.redshift_settings import RedshiftSettings
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.redshift.server import Redshift, redshift


@pytest.fixture(scope="session")
def redshift_server(ministack_server: Ministack) -> Iterator[Redshift]:
    import boto3

    client = boto3.client("s3", **ministack_server.client_options)
    with redshift(client) as server:
        yield server
    client.close()


def redshift_warehouse(server: Redshift, system: str | None = None) -> RedshiftWarehouse:
    """The warehouse of `system`, or of one that is new."""
    settings = RedshiftSettings.model_validate(server.settings)
    return RedshiftWarehouse(settings, EnvironmentSecrets(server.secrets), system=system or f"s{uuid.uuid4().hex[:12]}")
