"""Between a profile's connection to Redshift and dagster-aws's resource: the one made from the other, both ways.

The resource knows a user and a password, and opens a session a call with psycopg2. Who comes in another way than by a
password has none that would last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from mlplatform.adapters.driver_imports import DRIVER_IMPORTS
from mlplatform.adapters.warehouse.redshift import RedshiftWarehouse
from mlplatform.adapters.warehouse.redshift_settings import DataApiSettings, DriverSettings, RedshiftSettings
from mlplatform.errors import NotFoundError, ProfileError

if TYPE_CHECKING:
    from dagster_aws.redshift import RedshiftClientResource

    from mlplatform.ports.secrets import Secrets

_PASSWORD = "password"  # noqa: S105 - the name of a field
_OURS = ("iam_role", "schema_prefix", "staging_prefix", "min_batch_interval_s")
"""Settings that a resource knows nothing of."""
_OPEN = ("disable", "allow", "prefer")
"""Modes of TLS in which a session may be in the clear."""


def redshift_resource(settings: DriverSettings | DataApiSettings, secrets: Secrets) -> RedshiftClientResource:
    """The connection as dagster-aws has it; `get_client()` runs queries, each committed.

    Raises:
        NotFoundError: the password's secret is not there.
        ProfileError: the connection's access is not `password`; or the package is not there.
    """
    if not isinstance(settings, RedshiftSettings):
        raise ProfileError(
            f"dagster-aws's Redshift resource logs in by password, found access '{settings.access}'.",
            next_step="Give assets of your own a connection with a user's password.",
        )
    try:
        with DRIVER_IMPORTS:
            from dagster_aws.redshift import RedshiftClientResource
    except ImportError as error:
        raise ProfileError(
            "A Redshift resource needs the packages dagster-aws and psycopg2, found not both.",
            next_step="pip install 'mlplatform[dagster-redshift]'",
        ) from error
    return RedshiftClientResource(
        host=settings.host,
        port=settings.port,
        user=settings.user,
        password=secrets.get(settings.password_secret).get_secret_value(),
        database=settings.database,
        autocommit=True,
        connect_timeout=settings.connect_timeout_s,
        sslmode="require" if settings.ssl else "disable",
    )


def warehouse_of(
    resource: RedshiftClientResource, *, system: str, masked: bool = False, settings: Mapping[str, Any] | None = None
) -> RedshiftWarehouse:
    """The tables of `system` by a resource that a user configured.

    `settings`: of a connection to the same database; what a resource does not know is taken from there.

    Raises:
        ProfileError: it has no user, password or database.
    """
    missing = [name for name in ("user", _PASSWORD, "database") if getattr(resource, name) is None]
    if missing:
        raise ProfileError(f"The Redshift resource does not say: {', '.join(missing)}.", next_step="Set it.")
    made = RedshiftSettings.model_validate(
        {
            **{name: value for name, value in (settings or {}).items() if name in _OURS},
            "host": resource.host,
            "port": resource.port,
            "user": resource.user,
            "database": resource.database,
            "password_secret": _PASSWORD,
            "ssl": resource.sslmode not in _OPEN,
            "connect_timeout_s": resource.connect_timeout,
        }
    )
    return RedshiftWarehouse(made, _OfResource(resource), system=system, masked=masked)


class _OfResource:
    """A resource's own secret."""

    def __init__(self, resource: RedshiftClientResource) -> None:
        self._resource = resource

    def get(self, name: str) -> SecretStr:
        if name != _PASSWORD or self._resource.password is None:
            raise NotFoundError(f"The Redshift resource has no {name}.")
        return SecretStr(self._resource.password)
