"""Hive as a warehouse under test: a system of its own on one Spark Thrift Server a session, behind TLS and LDAP."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.hive import HiveWarehouse
from mlplatform.adapters.warehouse.hive_settings import HiveSettings
from mlplatform_tests.servers.hive.server import Hive, secured_hive


@pytest.fixture(scope="session")
def hive_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hive]:
    with secured_hive(tmp_path_factory.mktemp("hive")) as server:
        yield server


def hive_warehouse(
    server: Hive, objects: Path, system: str | None = None, *, views: bool = False, masked: bool = False
) -> HiveWarehouse:
    """The warehouse of `system`, or of one that is new, its rows below `objects`. Without views: they cost a statement."""
    settings = HiveSettings.model_validate({**server.settings, "views": views})
    # What the server has written is there when its statement has ended: nothing needs to settle.
    store = DirectoryObjectStore(objects, settle_s=0.0)
    name = system or f"s{uuid.uuid4().hex[:12]}"
    return HiveWarehouse(settings, EnvironmentSecrets(server.secrets), store, system=name, masked=masked)
