"""Amazon Redshift without a driver: each statement is a request to AWS, and its end is asked for until it comes.

https://docs.aws.amazon.com/redshift/latest/mgmt/data-api.html. What it needs of the network is HTTPS to AWS alone, and of the
caller a policy. A session of the API holds what a connection holds (a transaction, its locks, temporary tables); it ends
when nothing was asked of it for `session_idle_s`, and after a day. Results have at most 500 MB, a row of one 64 KB, a
statement 100 KB; rows that outgrow that are unloaded, as the rows of a feature set are (not those of `channel: warehouse`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from mlplatform.adapters.aws.client import aws_client
from mlplatform.adapters.warehouse.redshift_aws import asked_of_aws
from mlplatform.adapters.warehouse.redshift_data_errors import LOST, TOO_LARGE, StatementFailedError
from mlplatform.adapters.warehouse.redshift_data_results import Page, Result
from mlplatform.adapters.warehouse.redshift_data_sql import named
from mlplatform.adapters.warehouse.redshift_errors import is_conflict, platform_error
from mlplatform.adapters.warehouse.redshift_session import RedshiftSession
from mlplatform.errors import (
    DataError,
    NotFoundError,
    PlatformError,
    ProfileError,
    ThrottledError,
    TimedOutError,
    UnavailableError,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from mlplatform.adapters.warehouse.redshift_settings import DataApiSettings

T = TypeVar("T")

SERVICE = "Redshift's Data API"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 5.0
"""Between two questions whether a statement has ended: ever longer, since questions are counted per second and account."""

THROTTLED_PAUSES_S = (0.1, 0.3, 1.0, 3.0, 5.0, 5.0)
"""Together with boto3's own tries, about a minute."""

STOP_S = 10.0
"""How long a statement that nobody waits for any more is given to end, so that its session can be ended."""

_ENDED = ("FINISHED", "FAILED", "ABORTED")


class RedshiftDataApi(RedshiftSession):
    """`masked`: errors do not tell values. `client_options`: further arguments of ``boto3.client``. `pauses_s`: before a request is made
    again that AWS or the cluster had too much of, behind boto3's own tries."""

    def __init__(
        self,
        settings: DataApiSettings,
        *,
        masked: bool = False,
        client_options: Mapping[str, Any] | None = None,
        pauses_s: Sequence[float] = THROTTLED_PAUSES_S,
    ) -> None:
        self.settings: DataApiSettings = settings
        self._masked = masked
        self._options = dict(client_options or {})
        self._pauses_s = pauses_s
        self._made: Any = None

    def execute(
        self, sql: str, parameters: Sequence[Any] = (), *, subject: str = "", timeout_s: float | None = None
    ) -> Result:
        statement, given = named(sql, parameters)
        where = subject or f"Redshift at {self.settings.place}"
        if self._open is None:
            self._run("SET timezone TO 'UTC'", where, self._opening())
        more = {"Parameters": given} if given else {}
        return self._run(statement, where, {"SessionId": self._open, **more}, timeout_s)

    def table(self, select: str, parameters: Sequence[Any] = (), *, timeout_s: float | None = None) -> pa.Table:
        return self.execute(select, parameters, timeout_s=timeout_s).table()

    def parts(self, select: str) -> Iterator[pa.Table]:
        """A page at a time, as they are asked for."""
        yield from self.reading(lambda: self.execute(select)).parts()

    def is_conflict(self, error: BaseException) -> bool:
        return is_conflict(error)

    def close(self) -> None:
        super().close()
        client, self._made = self._made, None
        if client is not None:
            client.close()

    def _opening(self) -> dict[str, Any]:
        return {**self.settings.target(), "SessionKeepAliveSeconds": self.settings.session_idle_s}

    def _end(self, session: Any) -> None:
        """The API has no call for it: a last statement gives up what is open, and says that nobody stays."""
        self._client().execute_statement(Sql="ROLLBACK", SessionId=session, SessionKeepAliveSeconds=0)

    def _run(self, statement: str, where: str, request: Mapping[str, Any], timeout_s: float | None = None) -> Result:
        """Starts the statement, and waits for its end."""
        started = self._started(statement, where, request)
        self._open = started["SessionId"]
        try:
            told = self._ended(started["Id"], where, timeout_s)
        except BaseException:
            self._abandon(started["Id"])
            raise
        if told["Status"] == "ABORTED":
            raise TimedOutError(f"{where}: the statement was cancelled.")
        if told["Status"] == "FAILED":
            self._fail(str(told.get("Error", "no reason was given")), where)
        pages = partial(self._pages, started["Id"], where) if told.get("HasResultSet") else partial(iter, ())
        return Result(int(told.get("ResultRows", -1)), pages)

    def _started(self, statement: str, where: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        # The same token each time: who did not hear the answer does not have it run twice.
        ask = partial(self._client().execute_statement, Sql=statement, ClientToken=str(uuid.uuid4()), **request)
        try:
            started: Mapping[str, Any] = self._asked(where, ask)
        except (DataError, NotFoundError) as error:
            if "SessionId" not in request or "session" not in error.message.lower():
                raise
            self._open = None
            if self._within:
                raise UnavailableError(f"{error.message} Its transaction is gone.", next_step="Do it again.") from error
            # It was idle for too long; nothing was run.
            self._run("SET timezone TO 'UTC'", where, self._opening())
            in_another = {**request, "SessionId": self._open}
            return self._asked(where, partial(self._client().execute_statement, Sql=statement, **in_another))
        return started

    def _ended(self, statement: str, where: str, timeout_s: float | None) -> Mapping[str, Any]:
        """What is told of the statement when it has ended, by itself or because its time is up."""
        client, pause_s = self._client(), FIRST_PAUSE_S
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            told: Mapping[str, Any] = self._asked(where, partial(client.describe_statement, Id=statement))
            if told["Status"] in _ENDED:
                return told
            if deadline is not None and time.monotonic() >= deadline:
                deadline = None
                with suppress(DataError, NotFoundError), asked_of_aws(where, SERVICE):
                    # It may have ended just now.
                    client.cancel_statement(Id=statement)
            time.sleep(pause_s if deadline is None else min(pause_s, max(deadline - time.monotonic(), 0.0)))
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)

    def _abandon(self, statement: str) -> None:
        """Who waited is stopped, or has lost sight: the cluster would go on, and the session keep what it holds."""
        session, self._open = self._open, None
        client, until = self._client(), time.monotonic() + STOP_S
        with suppress(Exception):
            client.cancel_statement(Id=statement)
            while client.describe_statement(Id=statement)["Status"] not in _ENDED and time.monotonic() < until:
                time.sleep(FIRST_PAUSE_S)
            self._end(session)

    def _pages(self, statement: str, where: str) -> Iterator[Page]:
        token: dict[str, str] = {}
        while True:
            found = self._asked(where, partial(self._client().get_statement_result, Id=statement, **token))
            yield Page(found["ColumnMetadata"], found["Records"])
            if not found.get("NextToken"):
                return
            token = {"NextToken": found["NextToken"]}

    def _asked(self, where: str, ask: Callable[[], T]) -> T:
        """The answer, after a few pauses where too much was asked."""
        for pause_s in self._pauses_s:
            with suppress(ThrottledError), asked_of_aws(where, SERVICE):
                return ask()
            time.sleep(pause_s)
        with asked_of_aws(where, SERVICE):
            return ask()

    def _fail(self, text: str, where: str) -> None:
        """Raises what the statement's error means."""
        error = StatementFailedError(text)
        mapped = self._mapped(error, where)
        mapped.__context__ = error
        raise mapped from (None if self._masked else error)

    def _mapped(self, error: StatementFailedError, where: str) -> PlatformError:
        if error.state == LOST:
            self._open = None
        if error.state == TOO_LARGE:
            return DataError(
                f"{where}: {error.args[0]['M']}.", next_step="Read less of it, or unload it; or use another access."
            )
        return platform_error(error, where, masked=self._masked, who=self.settings.who)

    def _client(self) -> Any:
        if self._made is None:
            try:
                self._made = aws_client("redshift-data", {"region_name": self.settings.region, **self._options})
            except ImportError as error:
                raise ProfileError(
                    "The access 'data-api' of Redshift needs the package boto3, found none.",
                    next_step="pip install 'mlplatform[redshift]'",
                ) from error
        return self._made
