"""Connections as the resources of Dagster's own integrations, for a user's own assets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from mlplatform.errors import ProfileError
from mlplatform.ports.secrets import Secrets
from mlplatform.spec.profile import Connection


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
