"""DuckLake as a team runs it, under test: a catalogue in PostgreSQL and data files in S3, both on servers of the session."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.adapters.warehouse.ducklake_team import TeamPlace, TeamSettings
from mlplatform_tests.conformance.object_stores import s3_store
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.redshift.postgres import PASSWORD, USER, Postgres, postgres


@dataclass(frozen=True)
class TeamLake:
    """One server of each; every system has a schema and a prefix of its own."""

    catalogue: Postgres
    objects: Ministack
    store: S3ObjectStore

    def settings(self) -> TeamSettings:
        bucket = self.store.url("").removeprefix("s3://").split("/")[0]
        return TeamSettings(
            host="127.0.0.1",
            port=self.catalogue.port,
            database="postgres",
            user=USER,
            bucket=bucket,
            prefix="lake",
            region="us-east-1",
            endpoint_url=self.objects.client_options["endpoint_url"],
        )

    @property
    def secrets(self) -> dict[str, str]:
        """The environment that holds a connection's secrets."""
        return {"MLPLATFORM_SECRET_DUCKLAKE_PASSWORD": PASSWORD}

    def opener(self, folder: Path, system: str | None = None) -> Callable[[], DuckLakeWarehouse]:
        """Opens the warehouse of `system`, or of one that is new, as any of its processes would."""
        name = system or f"s{uuid.uuid4().hex[:12]}"
        secrets = EnvironmentSecrets(self.secrets)

        def opened() -> DuckLakeWarehouse:
            place = TeamPlace(self.settings(), secrets, system=name)
            return DuckLakeWarehouse(folder, threads=2, place=place)

        return opened


@pytest.fixture(scope="session")
def team_lake(ministack_server: Ministack) -> Iterator[TeamLake]:
    with postgres() as catalogue, pytest.MonkeyPatch.context() as patch:
        # Where boto3 finds a process's credentials.
        patch.setenv("AWS_ACCESS_KEY_ID", ministack_server.client_options["aws_access_key_id"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", ministack_server.client_options["aws_secret_access_key"])
        store = s3_store(ministack_server)
        yield TeamLake(catalogue, ministack_server, store)
        store.close()
