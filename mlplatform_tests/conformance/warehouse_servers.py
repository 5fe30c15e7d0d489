"""What the suite does to a warehouse's server behind the adapter's back: other logins, sessions that end, a look at its work."""

from __future__ import annotations

import json
import socket
import urllib.request
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.adapters.warehouse.ducklake_team import TeamPlace
from mlplatform.adapters.warehouse.hive import HiveWarehouse
from mlplatform.adapters.warehouse.hive_settings import HiveSettings
from mlplatform.adapters.warehouse.redshift import RedshiftWarehouse
from mlplatform.adapters.warehouse.redshift_settings import RedshiftSettings
from mlplatform.adapters.warehouse.snowflake import SnowflakeWarehouse
from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings
from mlplatform.ports.warehouse import Warehouse
from mlplatform_tests.conformance.team_ducklake import TeamLake
from mlplatform_tests.servers.hive.server import Hive
from mlplatform_tests.servers.redshift.postgres import PASSWORD, USER, Postgres
from mlplatform_tests.servers.redshift.server import Redshift
from mlplatform_tests.servers.snowflake.server import Snowflake

Keep = Callable[[Any], Any]


@dataclass(frozen=True)
class Door:
    """A warehouse as somebody else opens it: `user` is who, as messages name him; `hidden`: what he may not read."""

    user: str
    warehouse: Warehouse
    hidden: str = "prices"


class WarehouseServer(ABC):
    """The server of one case. `where`, `user` and `secret`: its connection, as messages name it."""

    where: str
    user: str
    secret: str
    works = True
    """Whether it computes queries itself."""

    @abstractmethod
    def opened(self, *, user: str | None = None, password: str | None = None) -> Warehouse:
        """The case's warehouse with another user or password; with the right ones where none is given."""

    def reader(self) -> Door:
        """Who may read the system's tables, and write none."""
        raise AssertionError("no gap says why it knows no permissions")

    def stranger(self) -> Door:
        """Who may log in, and read no table."""
        raise AssertionError("no gap says why it knows no permissions")

    @abstractmethod
    def end_sessions(self, warehouse: Warehouse) -> None:
        """The sessions of `warehouse` end, or the way to them; it is not told."""

    @abstractmethod
    def working(self) -> int:
        """How many statements of adapters the server works on."""

    def forget(self) -> None:
        """From now on the server ends at once what a killed client left open: most do by themselves."""
        return

    def mend(self) -> None:
        """The server is as it was."""
        return


@dataclass
class RedshiftServer(WarehouseServer):
    """PostgreSQL behind the proxy."""

    redshift: Redshift
    system: str
    keep: Keep
    where: str = "127.0.0.1"
    user: str = USER
    secret: str = "redshift_password"

    def opened(self, *, user: str | None = None, password: str | None = None) -> Warehouse:
        settings = RedshiftSettings.model_validate({**self.redshift.settings, "user": user or self.user})
        secrets = EnvironmentSecrets({"MLPLATFORM_SECRET_REDSHIFT_PASSWORD": password or PASSWORD})
        found: Warehouse = self.keep(RedshiftWarehouse(settings, secrets, system=self.system))
        return found

    def reader(self) -> Door:
        return self._door(f"GRANT SELECT ON ALL TABLES IN SCHEMA {self.system} TO")

    def stranger(self) -> Door:
        return self._door()

    def _door(self, *grants: str) -> Door:
        # COPY of a file, which stands in for COPY from S3, is a right of its own in PostgreSQL.
        name = new_role(self.redshift.server, self.system, "GRANT pg_read_server_files TO", *grants)
        return Door(name, self.opened(user=name))

    def end_sessions(self, warehouse: Warehouse) -> None:
        end_backends(self.redshift.server, "application_name = 'mlplatform'")

    def working(self) -> int:
        return working_backends(self.redshift.server, "application_name = 'mlplatform'")


@dataclass
class TeamServer(WarehouseServer):
    """The catalogue in PostgreSQL; what is computed, this process computes."""

    lake: TeamLake
    system: str
    folder: Path
    keep: Keep
    where: str = "127.0.0.1"
    user: str = USER
    secret: str = "ducklake_password"
    works = False

    def opened(self, *, user: str | None = None, password: str | None = None) -> Warehouse:
        settings = self.lake.settings().model_copy(update={"user": user or self.user})
        secrets = EnvironmentSecrets({"MLPLATFORM_SECRET_DUCKLAKE_PASSWORD": password or PASSWORD})
        place = TeamPlace(settings, secrets, system=self.system)
        found: Warehouse = self.keep(DuckLakeWarehouse(self.folder, threads=2, place=place))
        return found

    def reader(self) -> Door:
        return self._door(f"GRANT SELECT ON ALL TABLES IN SCHEMA {self.system} TO")

    def stranger(self) -> Door:
        return self._door()

    def _door(self, *grants: str) -> Door:
        name = new_role(self.lake.catalogue, self.system, *grants)
        # Who may read a catalogue may read all of its tables.
        return Door(name, self.opened(user=name), hidden=f"schema '{self.system}'")

    def end_sessions(self, warehouse: Warehouse) -> None:
        end_backends(self.lake.catalogue, "pid <> pg_backend_pid()")

    def working(self) -> int:
        return working_backends(self.lake.catalogue, "pid <> pg_backend_pid()")


@dataclass
class SnowflakeServer(WarehouseServer):
    """fakesnow, and what stands around it."""

    snowflake: Snowflake
    system: str
    keep: Keep
    where: str = "account 'standin'"
    user: str = "loader"
    secret: str = "snowflake_password"

    def opened(self, *, user: str | None = None, password: str | None = None, role: str | None = None) -> Warehouse:
        given = {"user": user or self.user, "role": role}
        settings = SnowflakeSettings.model_validate({**self.snowflake.settings, **given})
        secrets = dict(self.snowflake.secrets)
        if password is not None:
            secrets["MLPLATFORM_SECRET_SNOWFLAKE_PASSWORD"] = password
        found: Warehouse = self.keep(SnowflakeWarehouse(settings, EnvironmentSecrets(secrets), system=self.system))
        return found

    def reader(self) -> Door:
        return Door("READER", self.opened(role="READER"))

    def stranger(self) -> Door:
        return Door("STRANGER", self.opened(role="STRANGER"))

    def end_sessions(self, warehouse: Warehouse) -> None:
        self.snowflake.fail("", do="end")

    def working(self) -> int:
        return self.snowflake.running()

    def forget(self) -> None:
        self.snowflake.end_idle(0.2)

    def mend(self) -> None:
        self.snowflake.mend()


@dataclass
class HiveServer(WarehouseServer):
    """The Spark Thrift Server, and the directory that it asks."""

    hive: Hive
    rows: Path
    system: str
    keep: Keep
    where: str = "127.0.0.1"
    user: str = ""
    secret: str = "hive_password"
    _application: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.user = self.hive.settings["user"]

    def opened(self, *, user: str | None = None, password: str | None = None) -> Warehouse:
        settings = HiveSettings.model_validate({**self.hive.settings, "user": user or self.user, "views": False})
        secrets = dict(self.hive.secrets)
        if password is not None:
            secrets["MLPLATFORM_SECRET_HIVE_PASSWORD"] = password
        store = DirectoryObjectStore(self.rows, settle_s=0.0)
        made = HiveWarehouse(settings, EnvironmentSecrets(secrets), store, system=self.system)
        found: Warehouse = self.keep(made)
        return found

    def end_sessions(self, warehouse: Warehouse) -> None:
        assert isinstance(warehouse, HiveWarehouse)
        open_connection = warehouse._connection._connection
        if open_connection is not None:
            # Not as TLS would end it: the network is gone.
            handle = open_connection.service.client._iprot.trans._trans.handle
            socket.socket.shutdown(handle, socket.SHUT_RDWR)

    def working(self) -> int:
        if not self._application:
            self._application.append(self._asked("applications")[0]["id"])
        return len(self._asked(f"applications/{self._application[0]}/jobs?status=running"))

    def _asked(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.hive.web_port}/api/v1/{path}", timeout=60) as answer:
            return json.load(answer)


def new_role(server: Postgres, schema: str, *grants: str) -> str:
    """A new user with the suite's password who may look into `schema`; `grants` are statements up to his name."""
    name = f"r{uuid.uuid4().hex[:8]}"
    given = (f"GRANT USAGE ON SCHEMA {schema} TO", *grants)
    server.psql(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'", *(f"{grant} {name}" for grant in given))
    return name


def end_backends(server: Postgres, which: str) -> None:
    """Ends the server's sessions with clients that are `which`."""
    server.psql(
        f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {which} AND backend_type = 'client backend'"
    )


def working_backends(server: Postgres, which: str) -> int:
    """How many of them work on a statement."""
    found = server.psql(f"SELECT count(*) FROM pg_stat_activity WHERE {which} AND state = 'active'")
    return int(found[0][0])
