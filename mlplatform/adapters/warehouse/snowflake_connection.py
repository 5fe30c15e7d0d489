"""A session with Snowflake: opened on first use, statements one by one or in a transaction, tagged, errors mapped.

Snowflake (https://docs.snowflake.com/en/sql-reference/transactions) reads each statement of a transaction from what is
committed when it begins; UPDATE, DELETE and MERGE wait for the transaction that wrote the table before; a statement that
makes or changes tables commits. A transaction whose client died goes when it stood in another's way for five minutes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.snowflake_errors import is_conflict, is_lost, platform_error
from mlplatform.adapters.warehouse.sql_session import SqlSession
from mlplatform.errors import ProfileError, UnavailableError

if TYPE_CHECKING:
    from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings
    from mlplatform.ports.secrets import Secrets

LONGEST_PAUSE_S = 120.0
"""Between two statements of a transaction; Snowflake ends one that paused for 300."""


class SnowflakeConnection(SqlSession):
    """`schema`: where tables are that are named without one; `masked`: errors do not tell values."""

    def __init__(
        self, settings: SnowflakeSettings, secrets: Secrets, *, system: str, schema: str, masked: bool = False
    ) -> None:
        self.settings = settings
        self._secrets = secrets
        self._system = system
        self._schema = schema
        self._masked = masked
        self._tag: dict[str, str] = {}
        self._answered_at = _clocks()

    def execute(
        self, sql: str, parameters: Sequence[Any] = (), *, subject: str = "", timeout_s: float | None = None
    ) -> Any:
        where = subject or f"Snowflake account '{self.settings.account}'"
        if self._within:
            self._check_pause(where)
        cursor = self._session().cursor()
        tag = json.dumps({"platform": "mlplatform", "system": self._system, **self._tag})
        try:
            with self.mapped(where):
                cursor.execute(sql, tuple(parameters) or None, timeout=timeout_s, _statement_params={"QUERY_TAG": tag})
        except BaseException as error:
            if not isinstance(error, Exception):
                self._abandon(cursor, sql)
            raise
        finally:
            self._answered_at = _clocks()
        return cursor

    def _abandon(self, cursor: Any, sql: str) -> None:
        """Who waited is stopped (a signal, a run that is ended): Snowflake would go on for minutes. The driver asks it to stop
        at Ctrl-C alone."""
        session = self._open
        with suppress(Exception):
            session._cancel_query(sql, cursor._request_id)
        self.close()

    @contextmanager
    def mapped(self, where: str) -> Iterator[None]:
        """The driver's errors as the platform's, also those of a result that is fetched."""
        from snowflake.connector.errors import Error

        try:
            yield
        except (Error, ConnectionError, TimeoutError) as error:
            mapped = platform_error(error, where, masked=self._masked, who=self.settings.who)
            if is_lost(error):
                self.close()
            raise mapped from (None if self._masked else error)

    def _check_pause(self, where: str) -> None:
        """That the transaction is still there: this process may have been stopped, or its machine asleep."""
        paused_s = max(now - then for now, then in zip(_clocks(), self._answered_at, strict=True))
        if paused_s > LONGEST_PAUSE_S:
            self.close()
            raise UnavailableError(
                f"{where}: its transaction stood still for {paused_s:.0f} s, longer than {LONGEST_PAUSE_S:.0f} s, and was "
                "given up; nothing was changed.",
                next_step="Do it again.",
            )

    @contextmanager
    def tagged(self, **tag: str) -> Iterator[None]:
        """What Snowflake's query history says of the statements in the block, beside the system."""
        before, self._tag = self._tag, {**self._tag, **tag}
        try:
            yield
        finally:
            self._tag = before

    def another(self) -> SnowflakeConnection:
        """A session beside this one, with the same settings."""
        return SnowflakeConnection(
            self.settings, self._secrets, system=self._system, schema=self._schema, masked=self._masked
        )

    def is_conflict(self, error: BaseException) -> bool:
        return is_conflict(error)

    def _end(self, session: Any) -> None:
        session.close(retry=False)

    def _session(self) -> Any:
        if self._open is not None:
            return self._open
        try:
            import snowflake.connector
            from snowflake.connector.errors import Error
        except ImportError as error:
            raise ProfileError(
                "The warehouse adapter 'snowflake' needs the package snowflake-connector-python, found none.",
                next_step="pip install 'mlplatform[snowflake]'",
            ) from error
        settings = self.settings
        credentials = settings.credentials(self._secrets)
        try:
            self._open = snowflake.connector.connect(
                **settings.arguments(schema=self._schema),
                **credentials,
                paramstyle="qmark",
                application="mlplatform",
                # Where the client runs is nobody's business, and asking for it takes time.
                platform_detection_timeout_seconds=0.0,
                session_parameters={
                    "TIMEZONE": "UTC",
                    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
                    # As other engines write a whole second: Snowflake writes all places behind it, or none.
                    "TIMESTAMP_NTZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS",
                    "LOCK_TIMEOUT": settings.lock_timeout_s,
                    "ABORT_DETACHED_QUERY": True,
                },
            )
        except (Error, OSError) as error:
            # The driver's error may quote what it was given.
            raise platform_error(
                error, f"Connection to Snowflake account '{settings.account}'", who=settings.who
            ) from None
        return self._open


def _clocks() -> tuple[float, float]:
    """One clock stands still while the machine sleeps, the other may be set."""
    return time.monotonic(), time.time()
