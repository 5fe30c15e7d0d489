"""A connection to Amazon Redshift: opened on first use, statements one by one or in a transaction, errors mapped.

Redshift (https://docs.aws.amazon.com/redshift/latest/dg/) is a columnar warehouse that speaks PostgreSQL 8's protocol
and behaves otherwise: it enforces no key, has no ON CONFLICT, reads a transaction from one snapshot, locks whole tables
for writing, and moves bulk data through S3 alone (COPY, UNLOAD). Who comes by IAM is let in with a password that the driver
asks AWS for whenever a session is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.redshift_aws import asked_of_aws
from mlplatform.adapters.warehouse.redshift_errors import is_conflict, platform_error
from mlplatform.adapters.warehouse.redshift_results import arrow_parts, arrow_table
from mlplatform.adapters.warehouse.redshift_session import RedshiftSession
from mlplatform.adapters.warehouse.redshift_settings import DriverSettings
from mlplatform.errors import PlatformError, ProfileError

if TYPE_CHECKING:
    import pyarrow as pa

    from mlplatform.ports.secrets import Secrets

_VARBYTE = 6551


class RedshiftConnection(RedshiftSession):
    """`masked`: errors do not tell values."""

    def __init__(self, settings: DriverSettings, secrets: Secrets, *, masked: bool = False) -> None:
        self.settings: DriverSettings = settings
        self._masked = masked
        self._secrets = secrets
        self._process = 0

    def execute(self, sql: str, parameters: Sequence[Any] = (), *, subject: str = "") -> Any:
        session = self._session()
        from redshift_connector.error import Error, InterfaceError

        cursor = session.cursor()
        cursor.paramstyle = "qmark"
        try:
            cursor.execute(sql, tuple(parameters) or None)
        except (Error, OSError) as error:
            mapped = self._mapped(error, subject or f"Redshift at {self.settings.place}")
            if isinstance(error, (OSError, InterfaceError)):
                self.close()
            raise mapped from (None if self._masked else error)
        except BaseException as error:
            if not isinstance(error, Exception):
                self._abandon()
            raise
        return cursor

    def table(self, select: str, parameters: Sequence[Any] = (), *, timeout_s: float | None = None) -> pa.Table:
        if timeout_s is None:
            return arrow_table(self.execute(select, parameters))
        self.execute(f"SET statement_timeout TO {max(1, round(timeout_s * 1000))}")
        try:
            return arrow_table(self.execute(select, parameters))
        finally:
            if self.is_open:
                self.execute("SET statement_timeout TO DEFAULT")

    def parts(self, select: str) -> Iterator[pa.Table]:
        """By a cursor in a session of its own."""
        own = self.another()
        try:
            yield from arrow_parts(own, select)
        finally:
            own.close()

    def another(self) -> RedshiftConnection:
        return RedshiftConnection(self.settings, self._secrets, masked=self._masked)

    def is_conflict(self, error: BaseException) -> bool:
        return is_conflict(error)

    def _end(self, session: Any) -> None:
        session.close()

    def _abandon(self) -> None:
        """Who waited is stopped (a signal, a run that is ended): the server would go on, and its answer is half read."""
        process, self._process = self._process, 0
        self.close()
        if not process:
            return
        other = self.another()
        with suppress(PlatformError):
            other.execute(f"SELECT pg_cancel_backend({process})")
        other.close()

    def _mapped(self, error: BaseException, subject: str) -> PlatformError:
        return platform_error(error, subject, masked=self._masked, who=self.settings.who)

    def _session(self) -> Any:
        if self._open is not None:
            return self._open
        session = self._connected(f"Connection to Redshift at {self.settings.place}")
        session.autocommit = True
        # The driver decodes VARBYTE as UTF-8, which a quarantined record need not be.
        session.redshift_types[_VARBYTE] = (0, _bytes)
        # The time-out above is for connecting only: a load may take long.
        session._usock.settimeout(None)
        self._open = session
        self.execute("SET timezone TO 'UTC'")
        self._process = int(self.execute("SELECT pg_backend_pid()").fetchone()[0])
        return session

    def _connected(self, where: str) -> Any:
        try:
            import redshift_connector
            from botocore.exceptions import NoRegionError, ProfileNotFound
            from redshift_connector.error import Error
        except ImportError as error:
            raise ProfileError(
                "The warehouse adapter 'redshift' needs the package redshift-connector, found none.",
                next_step="pip install 'mlplatform[redshift]'",
            ) from error
        arguments = self.settings.arguments(self._secrets)
        with asked_of_aws(where, "Redshift Serverless" if self.settings.access == "serverless" else "Redshift"):
            try:
                return redshift_connector.connect(
                    **arguments,
                    database=self.settings.database,
                    timeout=self.settings.connect_timeout_s,
                    application_name="mlplatform",
                    # A kept statement would outlive a change of its table by another process.
                    max_prepared_statements=0,
                )
            except NoRegionError as error:
                raise ProfileError(f"{where}: {error}", next_step="Set region, or AWS_DEFAULT_REGION.") from error
            except (Error, OSError) as error:
                found = error.args[0] if error.args else None
                if isinstance(found, ProfileNotFound):
                    raise ProfileError(
                        f"{where}: {found}.", next_step="Set aws_profile to one that is there."
                    ) from error
                raise self._mapped(error, where) from error


def _bytes(data: bytes, start: int, length: int) -> bytes:
    return bytes.fromhex(data[start : start + length].decode("ascii"))
