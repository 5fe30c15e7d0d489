"""A session with HiveServer2 (https://cwiki.apache.org/confluence/display/Hive/HiveServer2+Clients): opened on first
use, statements run asynchronously, polled, and cancelled on the server where they take too long or the caller is stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.hive_errors import SessionLostError, statement_error
from mlplatform.adapters.warehouse.hive_results import arrow_table
from mlplatform.adapters.warehouse.hive_settings import HiveSettings, access
from mlplatform.adapters.warehouse.sql_errors import too_slow
from mlplatform.errors import DataError, PermissionDeniedError, PlatformError, ProfileError

if TYPE_CHECKING:
    import pyarrow as pa

    from mlplatform.adapters.warehouse.hive_settings import Access
    from mlplatform.ports.secrets import Secrets

_log = logging.getLogger(__name__)

_FIRST_POLL_S = 0.005
_LONGEST_POLL_S = 0.25
_TELL_EVERY_S = 5.0
_FETCH_ROWS = 50_000
_MECHANISMS = {"none": "PLAIN", "nosasl": "NOSASL", "ldap": "LDAP"}
SESSION = {
    # The question whether a statement still runs is answered when it has ended, or after so long (5 s otherwise).
    "hive.server2.long.polling.timeout": "200ms",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
"""What every session is set to: a cast that fails is an error, and a timestamp is a time in UTC without a zone."""


class HiveConnection:
    """One session at a time; a lost one is opened anew by the next statement. `masked`: errors do not tell values."""

    def __init__(self, settings: HiveSettings, secrets: Secrets, *, masked: bool = False) -> None:
        self.settings = settings
        self._secrets = secrets
        self._masked = masked
        self._connection: Any = None
        self._cursor: Any = None

    def run(self, sql: str, *, subject: str = "") -> None:
        """One statement that has no rows. A `SessionLostError` leaves it open whether it ran.

        Raises:
            PlatformError: what the server's error means; `subject` is what was worked on.
        """
        with self._ran(sql, subject, None):
            pass

    def read(self, sql: str, *, subject: str = "", timeout_s: float | None = None) -> pa.Table:
        """The rows of a statement that only reads: it is sent once more where the session was lost. Raises as `run` does."""
        try:
            return self._rows(sql, subject, timeout_s)
        except SessionLostError:
            return self._rows(sql, subject, timeout_s)

    def batches(self, sql: str, *, subject: str = "") -> Iterator[pa.RecordBatch]:
        """Rows of a statement that only reads, as they come; at least one batch. The session is busy until the last."""
        import pyarrow as pa

        self.run("SET spark.sql.thriftServer.incrementalCollect=true")
        with self._ran(sql, subject, None) as cursor:
            description, count = cursor.description, 0
            while batch := cursor.fetchcbatch():
                for made in arrow_table(description, [batch]).to_batches():
                    count += 1
                    yield made
            if not count:
                yield pa.RecordBatch.from_pylist([], schema=arrow_table(description, []).schema)

    def _rows(self, sql: str, subject: str, timeout_s: float | None) -> pa.Table:
        with self._ran(sql, subject, timeout_s) as cursor:
            return arrow_table(cursor.description, cursor.fetchcolumnar())

    @contextmanager
    def _ran(self, sql: str, subject: str, timeout_s: float | None) -> Iterator[Any]:
        """The cursor, once the statement has ended; it is cancelled where the block is left otherwise than by its end."""
        subject = subject or f"Hive at {self.settings.host or 'the address of its URL'}"
        limit_s = min((s for s in (timeout_s, self.settings.query_timeout_s) if s is not None), default=None)
        cursor = self._session()
        with self._mapped(subject):
            try:
                cursor.execute_async(sql)
                self._wait(cursor, subject, limit_s)
                yield cursor
            except PlatformError:
                self._cancel(cursor)
                raise
            except BaseException as error:
                # Who waited is stopped (a signal, a run that is ended). An answer may be half read: nothing more can be said
                # on this connection. The server ends the session of one that hangs up, and stops what runs in it.
                if not isinstance(error, Exception):
                    self._hang_up()
                raise
            cursor.close_operation()

    @property
    def database(self) -> str:
        """Of the JDBC URL or the settings; "" where neither names one."""
        return access(self.settings, self._secrets).database

    def close(self) -> None:
        """Ends the session."""
        cursor = self._cursor
        if cursor is not None:
            with suppress(*self._failures()):
                cursor.close()
        self._hang_up()

    def _hang_up(self) -> None:
        cursor, connection, self._cursor, self._connection = self._cursor, self._connection, None, None
        if cursor is not None:
            # Its finalizer would connect anew to say good-bye.
            cursor._closed = True
        if connection is not None:
            with suppress(*self._failures()):
                connection.close()

    def _wait(self, cursor: Any, subject: str, limit_s: float | None) -> None:
        """Until the statement has ended. What went wrong is raised by what is asked of the cursor next."""
        started = told = time.monotonic()
        pause_s = _FIRST_POLL_S
        while cursor.is_executing():
            now = time.monotonic()
            if limit_s is not None and now - started > limit_s:
                raise too_slow(limit_s, "the server allows")
            if now - told > _TELL_EVERY_S:
                told = now
                said = (cursor.get_log() or "").strip().splitlines()
                _log.info("%s: running for %.0f s%s", subject, now - started, f": {said[-1]}" if said else "")
            time.sleep(min(pause_s, limit_s or pause_s))
            pause_s = min(pause_s * 1.5, _LONGEST_POLL_S)
        if cursor.execution_failed():
            cursor.fetchcolumnar()

    def _cancel(self, cursor: Any) -> None:
        """Stops the statement on the server, and keeps the session where that works."""
        try:
            cursor.cancel_operation()
        except self._failures():
            self.close()

    @contextmanager
    def _mapped(self, subject: str) -> Iterator[None]:
        from impala.error import Error, HiveServer2Error
        from thrift.Thrift import TException

        try:
            yield
        except (Error, HiveServer2Error) as error:
            mapped = statement_error(str(error), subject, masked=self._masked)
            if isinstance(mapped, SessionLostError):
                self.close()
            raise mapped from (None if self._masked else error)
        except KeyError as error:
            # The driver knows no name for the type of a column.
            raise DataError(
                f"{subject}: a column of the result is of a type that HiveServer2's protocol does not carry.",
                next_step="CAST it to a plain type.",
            ) from error
        except (TException, OSError) as error:
            self.close()
            raise SessionLostError(
                f"{subject}: the connection broke off: {error}", next_step="See whether the server runs."
            ) from error

    def _failures(self) -> tuple[type[BaseException], ...]:
        from impala.error import Error, HiveServer2Error
        from thrift.Thrift import TException

        return (Error, HiveServer2Error, TException, OSError)

    def _session(self) -> Any:
        if self._cursor is not None:
            return self._cursor
        try:
            from impala.dbapi import connect
        except ImportError as error:
            raise ProfileError(
                "The warehouse adapter 'hive' needs the package impyla, found none.",
                next_step="pip install 'mlplatform[hive]'",
            ) from error
        to = access(self.settings, self._secrets)
        opened_with = {f"set:hiveconf:{name}": value for name, value in SESSION.items()}
        with self._logged_on(to):
            self._connection = connect(
                host=to.host,
                port=to.port,
                timeout=self.settings.answer_timeout_s,
                use_ssl=to.ssl,
                ca_cert=to.ca_file,
                verify_cert=True,
                auth_mechanism=_MECHANISMS[to.authentication],
                user=to.user,
                password=to.password,
                retries=1,
            )
            cursor = self._connection.cursor(user=to.user, convert_types=False, configuration=opened_with)
        cursor.set_arraysize(_FETCH_ROWS)
        self._cursor = cursor
        return cursor

    @contextmanager
    def _logged_on(self, to: Access) -> Iterator[None]:
        from thrift.transport.TTransport import TTransportException

        subject = f"Connection to Hive at {to.address}"
        try:
            yield
        except self._failures() as error:
            self.close()
            text = f"{error} {getattr(error, 'inner', None) or ''}".strip()
            if "Error validating" in text or "authenticat" in text.lower():
                secret = self.settings.url_secret or self.settings.password_secret
                raise PermissionDeniedError(
                    f"{subject}: the server refused user '{to.user}'.",
                    next_step=f"Check user '{to.user}' and secret '{secret}'.",
                ) from error
            hint = "See whether the server runs, and can be reached."
            if isinstance(error, TTransportException) and not to.ssl:
                hint += " A server that wants TLS answers so too: then set ssl: true."
            raise SessionLostError(f"{subject}: {text}", next_step=hint) from error
