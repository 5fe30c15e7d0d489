"""Between a profile's connection to Snowflake and dagster-snowflake's resource: the one made from the other, both ways.

A user's own assets get the platform's connection as the resource that they know; and who has such a resource opens a
system's tables with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from mlplatform.adapters.driver_imports import DRIVER_IMPORTS
from mlplatform.adapters.warehouse.snowflake import SnowflakeWarehouse
from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings
from mlplatform.errors import NotFoundError, ProfileError

if TYPE_CHECKING:
    from dagster_snowflake import SnowflakeResource

    from mlplatform.ports.secrets import Secrets

_PLACE = ("host", "port", "protocol")
_OURS = ("schema_prefix", "connect_timeout_s", "statement_timeout_s", "lock_timeout_s", "min_batch_interval_s")
"""Settings that a resource knows nothing of."""


def snowflake_resource(settings: SnowflakeSettings, secrets: Secrets) -> SnowflakeResource:
    """The connection as dagster-snowflake has it; `get_connection()` opens a session of the driver.

    Raises:
        NotFoundError: a secret that is not there.
        ProfileError: the package dagster-snowflake is not there.
    """
    try:
        with DRIVER_IMPORTS:
            from dagster_snowflake import SnowflakeResource
    except ImportError as error:
        raise ProfileError(
            "A Snowflake resource needs the package dagster-snowflake, found none.",
            next_step="pip install 'mlplatform[dagster-snowflake]'",
        ) from error
    place: dict[str, Any] = {"port": settings.port, "protocol": settings.protocol}
    if settings.host is not None:
        place["host"] = settings.host
    optional: dict[str, Any] = {
        "warehouse": settings.warehouse,
        "role": settings.role,
        **_credentials(settings, secrets),
    }
    if settings.oauth_token_secret is not None:
        place["token"] = secrets.get(settings.oauth_token_secret).get_secret_value()
    return SnowflakeResource(
        account=settings.account,
        user=settings.user,
        database=settings.database,
        login_timeout=settings.connect_timeout_s,
        additional_snowflake_connection_args=place,
        **{name: value for name, value in optional.items() if value is not None},
    )


def _credentials(settings: SnowflakeSettings, secrets: Secrets) -> dict[str, Any]:
    if settings.oauth_token_secret is not None:
        return {"authenticator": "oauth"}
    if settings.private_key_secret is None:
        return {"password": secrets.get(settings.password_secret).get_secret_value()}
    found = {"private_key": secrets.get(settings.private_key_secret).get_secret_value()}
    if settings.private_key_passphrase_secret is not None:
        found["private_key_password"] = secrets.get(settings.private_key_passphrase_secret).get_secret_value()
    return found


def warehouse_of(
    resource: SnowflakeResource, *, system: str, masked: bool = False, settings: Mapping[str, Any] | None = None
) -> SnowflakeWarehouse:
    """The tables of `system` by a resource that a user configured: by password, or by a private key in PEM.

    `settings`: of a connection to the same database; what a resource does not know is taken from there.

    Raises:
        ProfileError: it has no account or database, or proves the user in another way.
    """
    missing = [name for name in ("account", "database") if getattr(resource, name) is None]
    if missing or (resource.password is None and resource.private_key is None):
        lacks = ", ".join(missing) or "password or private_key"
        raise ProfileError(f"The Snowflake resource does not say: {lacks}.", next_step="Set it.")
    given = resource.additional_snowflake_connection_args or {}
    ours = {name: value for name, value in (settings or {}).items() if name in _OURS}
    made = SnowflakeSettings.model_validate(
        {
            **ours,
            "account": resource.account,
            "user": resource.user,
            "database": resource.database,
            "warehouse": resource.warehouse,
            "role": resource.role,
            "private_key_secret": "private_key" if resource.private_key is not None else None,
            "private_key_passphrase_secret": "private_key_password" if resource.private_key_password else None,
            "password_secret": "password",
            **{name: given[name] for name in _PLACE if name in given},
        }
    )
    return SnowflakeWarehouse(made, _OfResource(resource), system=system, masked=masked)


class _OfResource:
    """A resource's own secrets."""

    def __init__(self, resource: SnowflakeResource) -> None:
        self._resource = resource

    def get(self, name: str) -> SecretStr:
        value = getattr(self._resource, name)
        if value is None:
            raise NotFoundError(f"The Snowflake resource has no {name}.")
        return SecretStr(value)
