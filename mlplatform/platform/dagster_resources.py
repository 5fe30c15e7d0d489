"""Warehouse connections as the resources of Dagster's own integrations, for a user's own assets."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from mlplatform.errors import ProfileError
from mlplatform.ports.secrets import Secrets
from mlplatform.spec.profile import Connection


def dagster_resource(connection: Connection, secrets: Secrets) -> Any:
    """`snowflake` as dagster-snowflake's `SnowflakeResource`.

    Raises:
        ProfileError: of another adapter, or with settings that do not fit.
    """
    if connection.adapter != "snowflake":
        raise ProfileError(
            f"There is no Dagster resource for a connection of adapter '{connection.adapter}'; there is for: snowflake."
        )
    from mlplatform.adapters.warehouse.snowflake_resource import snowflake_resource
    from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings

    try:
        settings = SnowflakeSettings.model_validate(connection.settings)
    except ValidationError as error:
        raise ProfileError(f"Settings of a warehouse connection (snowflake) are wrong: {error}.") from error
    return snowflake_resource(settings, secrets)
