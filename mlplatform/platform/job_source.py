"""The warehouse as a job opens it: a document with the connection's settings, made here and read in the job's process."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from mlplatform.errors import DataError
from mlplatform.platform import connections
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Connection

if TYPE_CHECKING:
    from mlplatform.ports.warehouse import Warehouse
    from mlplatform.stations.training import WarehouseSource

_SECRET = "_secret"  # noqa: S105 - the end of a setting's name: its value names a secret
_SETTINGS = {
    "ducklake": "ducklake_team.TeamSettings",
    "redshift": "redshift_settings.AnyRedshiftSettings",
    "snowflake": "snowflake_settings.SnowflakeSettings",
    "hive": "hive_settings.HiveSettings",
}
"""Settings whose defaults name secrets too."""


def source_of(connection: Connection, secrets: Connection, home: Home, system: str, *, masked: bool) -> WarehouseSource:
    """What a job of `system` needs to open the warehouse behind `connection`."""
    from mlplatform.stations.training import WarehouseSource

    document = {
        "connection": connection.model_dump(),
        "secrets": secrets.model_dump(),
        "home": str(home.root),
        "system": system,
        "masked": masked,
    }
    # A team's lake has its files in S3, which whoever reads it reaches himself; and AWS lets in who comes without a password.
    lake = connection.adapter == "ducklake" and bool(connection.settings)
    aws = lake or (connection.adapter == "redshift" and connection.settings.get("access", "password") != "password")
    return WarehouseSource(document, _secrets_of(connection), aws)


def open_source(document: dict[str, Any]) -> Warehouse:
    """The warehouse that `source_of` describes. Raises DataError where the document is none."""
    try:
        connection = Connection.model_validate(document["connection"])
        secrets = Connection.model_validate(document["secrets"])
        home, system, masked = Home(Path(document["home"])), str(document["system"]), bool(document["masked"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"The job's warehouse is described by no such document: {error!r}.") from error
    return connections.warehouse(
        connection, home, system, lambda: connections.secrets(secrets, os.environ), masked=masked
    )


def _secrets_of(connection: Connection) -> tuple[str, ...]:
    """Names of the secrets that a connection's settings name, by their words or by default."""
    settings = dict(connection.settings)
    # DuckLake without settings is this machine's own.
    if settings and connection.adapter in _SETTINGS:
        module, _, name = _SETTINGS[connection.adapter].rpartition(".")
        kind = getattr(importlib.import_module(f"mlplatform.adapters.warehouse.{module}"), name)
        settings = TypeAdapter(kind).validate_python(settings).model_dump()
    return tuple(sorted({str(v) for key, v in settings.items() if key.endswith(_SECRET) and v}))
