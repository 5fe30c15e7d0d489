"""Connections as the resources of Dagster's own integrations, for a user's own assets; and opened by such resources of his."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mlplatform.errors import ProfileError
from mlplatform.ports.secrets import Secrets
from mlplatform.spec.profile import Connection

if TYPE_CHECKING:
    from mlplatform.ports.object_store import ObjectStore
    from mlplatform.ports.warehouse import Warehouse

_PLACE = {"redshift": ("host", "database"), "snowflake": ("account", "database")}
"""What connection and resource must agree on: processes without Dagster use the connection."""


def dagster_resource(connection: Connection, secrets: Callable[[], Secrets]) -> Any:
    """A warehouse `snowflake` as dagster-snowflake's `SnowflakeResource`; `redshift` and an object store `s3` as dagster-aws's
    `RedshiftClientResource` and `S3Resource`.

    Raises:
        ProfileError: of another adapter, or with settings that do not fit.
    """
    makers = {"redshift": _redshift, "snowflake": _snowflake, "s3": _s3}
    make = makers.get(connection.adapter)
    if make is None:
        raise ProfileError(
            f"There is no Dagster resource for a connection of adapter '{connection.adapter}'; there are for: "
            f"{', '.join(sorted(makers))}."
        )
    try:
        return make(connection, secrets)
    except ValidationError as error:
        raise ProfileError(
            f"Settings of a {connection.port} connection ({connection.adapter}) are wrong: {error}."
        ) from error


def warehouse_by(connection: Connection, resource: Any, *, system: str, masked: bool) -> Warehouse:
    """The warehouse of `connection`, where who logs in, and how, is what a user's own resource says.

    Raises:
        ProfileError: of another adapter, the resource does not say enough, or they are two places.
    """
    if connection.adapter not in _PLACE:
        raise ProfileError(
            f"A resource of Dagster's opens no warehouse of adapter '{connection.adapter}'; one of these: "
            f"{', '.join(sorted(_PLACE))}."
        )
    for name in _PLACE[connection.adapter]:
        there, here = connection.settings.get(name), getattr(resource, name, None)
        if there is not None and here is not None and str(there).lower() != str(here).lower():
            raise ProfileError(
                f"The resource's {name} is '{here}', the connection's '{there}': worker and jobs, which run without "
                "Dagster, would read other tables.",
                next_step="Let both say the same.",
            )
    if connection.adapter == "snowflake":
        from mlplatform.adapters.warehouse.snowflake_resource import warehouse_of as of_snowflake

        return of_snowflake(resource, system=system, masked=masked, settings=connection.settings)
    from mlplatform.adapters.warehouse.redshift_resource import warehouse_of as of_redshift

    return of_redshift(resource, system=system, masked=masked, settings=connection.settings)


def store_by(connection: Connection, resource: Any) -> ObjectStore:
    """The objects of `connection` by a user's own `S3Resource`. Raises ProfileError of another adapter."""
    from mlplatform.adapters.object_store.s3 import S3Settings
    from mlplatform.adapters.object_store.s3_resource import store_of

    if connection.adapter != "s3":
        raise ProfileError(f"A resource of Dagster's opens no objects of adapter '{connection.adapter}'; s3's.")
    place = S3Settings.model_validate(connection.settings)
    return store_of(resource, place.bucket, prefix=place.prefix)


def _redshift(connection: Connection, secrets: Callable[[], Secrets]) -> Any:
    from mlplatform.adapters.warehouse.redshift_resource import redshift_resource
    from mlplatform.adapters.warehouse.redshift_settings import redshift_settings

    return redshift_resource(redshift_settings(connection.settings), secrets())


def _snowflake(connection: Connection, secrets: Callable[[], Secrets]) -> Any:
    from mlplatform.adapters.warehouse.snowflake_resource import snowflake_resource
    from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings

    return snowflake_resource(SnowflakeSettings.model_validate(connection.settings), secrets())


def _s3(connection: Connection, secrets: Callable[[], Secrets]) -> Any:  # noqa: ARG001
    from mlplatform.adapters.object_store.s3_resource import s3_resource

    place = {name: connection.settings.get(name) for name in ("endpoint_url", "region")}
    return s3_resource(**place)
