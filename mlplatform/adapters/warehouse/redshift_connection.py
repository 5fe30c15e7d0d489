"""A connection to Amazon Redshift: opened on first use, statements one by one or in a transaction, errors mapped.

Redshift (https://docs.aws.amazon.com/redshift/latest/dg/) is a columnar warehouse that speaks PostgreSQL 8's protocol
and behaves otherwise: it enforces no key, has no ON CONFLICT, reads a transaction from one snapshot, locks whole tables
for writing, and moves bulk data through S3 alone (COPY, UNLOAD).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from mlplatform.adapters.warehouse.redshift_errors import is_conflict, platform_error
from mlplatform.adapters.warehouse.sql_session import SqlSession
from mlplatform.errors import ProfileError

if TYPE_CHECKING:
    from mlplatform.ports.secrets import Secrets

_VARBYTE = 6551


class RedshiftSettings(BaseModel):
    """A connection's settings, as a profile writes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(description="The cluster's or the workgroup's endpoint.")
    port: int = Field(default=5439, ge=1, le=65535, description="Of the host.")
    database: str = Field(default="dev", description="Where the schemas are; it must be there.")
    user: str = Field(description="Who logs in.")
    password_secret: str = Field(default="redshift_password", description="Name of the secret.")
    iam_role: str = Field(
        default="default", description="ARN of the role that COPY and UNLOAD take; default: the cluster's own."
    )
    schema_prefix: str = Field(default="", description="In front of the system's name; both name the schema.")
    staging_prefix: str = Field(
        default="_staging/", description="Below it, in the object store of a load, its rows wait for COPY."
    )
    ssl: bool = Field(default=True, description="Whether what is sent is encrypted.")
    connect_timeout_s: int = Field(default=30, ge=1, description="How long a connection is tried.")


class RedshiftConnection(SqlSession):
    """`masked`: errors do not tell values."""

    def __init__(self, settings: RedshiftSettings, secrets: Secrets, *, masked: bool = False) -> None:
        self.settings = settings
        self._masked = masked
        self._secrets = secrets

    def execute(self, sql: str, parameters: Sequence[Any] = (), *, subject: str = "") -> Any:
        session = self._session()
        from redshift_connector.error import Error, InterfaceError

        cursor = session.cursor()
        cursor.paramstyle = "qmark"
        try:
            cursor.execute(sql, tuple(parameters) or None)
        except (Error, OSError) as error:
            mapped = platform_error(error, subject or f"Redshift at {self.settings.host}", masked=self._masked)
            if isinstance(error, (OSError, InterfaceError)):
                self.close()
            raise mapped from (None if self._masked else error)
        return cursor

    def another(self) -> RedshiftConnection:
        """A session beside this one, with the same settings."""
        return RedshiftConnection(self.settings, self._secrets, masked=self._masked)

    def is_conflict(self, error: BaseException) -> bool:
        return is_conflict(error)

    def _end(self, session: Any) -> None:
        session.close()

    def _session(self) -> Any:
        if self._open is not None:
            return self._open
        try:
            import redshift_connector
            from redshift_connector.error import Error
        except ImportError as error:
            raise ProfileError(
                "The warehouse adapter 'redshift' needs the package redshift-connector, found none.",
                next_step="pip install 'mlplatform[redshift]'",
            ) from error
        settings = self.settings
        try:
            session = redshift_connector.connect(
                host=settings.host,
                port=settings.port,
                database=settings.database,
                user=settings.user,
                password=self._secrets.get(settings.password_secret).get_secret_value(),
                ssl=settings.ssl,
                timeout=settings.connect_timeout_s,
                application_name="mlplatform",
                # A kept statement would outlive a change of its table by another process.
                max_prepared_statements=0,
            )
        except (Error, OSError) as error:
            raise platform_error(error, f"Connection to Redshift at {settings.host}:{settings.port}") from error
        session.autocommit = True
        # The driver decodes VARBYTE as UTF-8, which a quarantined record need not be.
        session.redshift_types[_VARBYTE] = (0, _bytes)
        # The time-out above is for connecting only: a load may take long.
        session._usock.settimeout(None)
        self._open = session
        self.execute("SET timezone TO 'UTC'")
        return session


def _bytes(data: bytes, start: int, length: int) -> bytes:
    return bytes.fromhex(data[start : start + length].decode("ascii"))
