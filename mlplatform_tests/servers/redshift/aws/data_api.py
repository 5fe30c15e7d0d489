"""The Data API in front of the server: sessions that are kept, statements that run beside the requests, results in pages.

It runs each statement as the driver would, through the proxy; what its answers look like is what AWS documents: types by
name, decimals and times as texts, a text for an error, an error where a session is gone or busy.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlplatform_tests.servers.aws_protocol.messages import Asked
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.redshift.aws.control_plane import CALLER, CLUSTER, WORKGROUP, ControlPlane
from mlplatform_tests.servers.redshift.aws.values import columns_of, record
from mlplatform_tests.servers.redshift.postgres import PASSWORD, USER

LONGEST_STATEMENT_BYTES = 100 * 1024
APPLICATION = "redshift-data-api"

_NAMED = re.compile(r"""'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|::|/\*.*?\*/|--[^\n]*|:([0-9a-zA-Z_]+)|\?""", re.S)


@dataclass
class Session:
    """One that is kept: `id`, and the driver's connection to the server behind it."""

    id: str
    connection: Any
    process: int
    keep_s: float
    user: str
    used_at: float = field(default_factory=time.monotonic)
    busy: bool = False


@dataclass
class Statement:
    """One that was asked for. `rows` and `columns`: of its result."""

    id: str
    session: Session
    status: str = "SUBMITTED"
    error: str = ""
    count: int = -1
    columns: list[dict[str, Any]] | None = None
    rows: list[list[dict[str, Any]]] = field(default_factory=list)


class DataApi:
    """`port`: of the proxy. `page_rows`: how many rows a page has."""

    def __init__(self, control: ControlPlane, *, page_rows: int = 1000) -> None:
        self.page_rows = page_rows
        self._control = control
        self.sessions: dict[str, Session] = {}
        self._statements: dict[str, Statement] = {}
        self._tokens: dict[str, Statement] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Ends all sessions, when what they do is done."""
        for thread in self._threads:
            thread.join()
        for session in list(self.sessions.values()):
            self._end(session)

    def user(self, name: str) -> None:
        """Makes a user of the database who may load."""
        self._control.user(name)

    def end_sessions(self, user: str | None = None) -> None:
        """All of them, or a user's, are gone, and nobody is told."""
        for session in list(self.sessions.values()):
            if user in (None, session.user):
                self._end(session)

    def answer(self, asked: Asked) -> dict[str, Any] | None:
        """What the API says; None for a request that is not to it. Raises AwsRefusedError."""
        answers: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "ExecuteStatement": self._execute,
            "DescribeStatement": self._describe,
            "GetStatementResult": self._result,
            "CancelStatement": self._cancel,
        }
        return answers[asked.operation](asked.parameters) if asked.service == "redshift-data" else None

    def _execute(self, given: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            statement = self._tokens.get(given.get("ClientToken", ""))
            if statement is None:
                sql, values = bound(given["Sql"], given.get("Parameters", ()))
                session = self._session(given)
                statement = Statement(str(uuid.uuid4()), session)
                self._statements[statement.id] = statement
                self._tokens[given.get("ClientToken", statement.id)] = statement
                session.busy = True
                session.keep_s = given.get("SessionKeepAliveSeconds", session.keep_s)
                self._threads.append(threading.Thread(target=self._run, args=(statement, sql, values), daemon=True))
                self._threads[-1].start()
        found = {"Id": statement.id, "CreatedAt": datetime.now(UTC), "SessionId": statement.session.id}
        return {**found, **{k: v for k, v in given.items() if k in ("ClusterIdentifier", "WorkgroupName", "Database")}}

    def _session(self, given: Mapping[str, Any]) -> Session:
        now = time.monotonic()
        for idle in [s for s in self.sessions.values() if not s.busy and s.used_at + s.keep_s < now]:
            self._end(idle)
        if (name := given.get("SessionId")) is None:
            return self._opened(given)
        others = {"ClusterIdentifier", "WorkgroupName", "Database", "DbUser", "SecretArn"} & set(given)
        if others:
            raise AwsRefusedError("ValidationException", f"SessionId: expected none of {sorted(others)} beside it.")
        found = self.sessions.get(name)
        if found is None:
            raise AwsRefusedError("ValidationException", f"Session {name} is not available.")
        if found.busy:
            raise AwsRefusedError("ValidationException", f"Session {name} is busy.")
        return found

    def _opened(self, given: Mapping[str, Any]) -> Session:
        import redshift_connector

        if given.get("ClusterIdentifier", CLUSTER) != CLUSTER or given.get("WorkgroupName", WORKGROUP) != WORKGROUP:
            raise AwsRefusedError("ValidationException", "Redshift endpoint doesn't exist in this region.")
        if "Database" not in given or {"ClusterIdentifier", "WorkgroupName"} <= set(given):
            raise AwsRefusedError("ValidationException", "expected Database, and one of cluster and workgroup.")
        user, password = self._login(given)
        try:
            connection = redshift_connector.connect(
                host="127.0.0.1", port=self._control.port, user=user, password=password, ssl=False,
                database=given["Database"], application_name=APPLICATION, max_prepared_statements=0,
            )  # fmt: skip
        except redshift_connector.Error as error:
            raise AwsRefusedError("DatabaseConnectionException", f"FATAL: {_message(error)}", 500) from error
        connection.autocommit = True
        # The driver would decode VARBYTE as UTF-8, which it need not be.
        connection.redshift_types[6551] = (0, lambda data, start, length: data[start : start + length].decode("ascii"))
        cursor = connection.cursor()
        process = int(cursor.execute("SELECT pg_backend_pid()").fetchone()[0])
        made = Session(str(uuid.uuid4()), connection, process, given.get("SessionKeepAliveSeconds", 0), user)
        self.sessions[made.id] = made
        return made

    def _login(self, given: Mapping[str, Any]) -> tuple[str, str]:
        if "SecretArn" in given:
            if not given["SecretArn"].endswith("right"):
                raise AwsRefusedError("ValidationException", "The secret cannot be read.")
            return USER, PASSWORD
        self._control.user("loader")
        name, acts_as = (f"IAM:{given['DbUser']}", given["DbUser"]) if "DbUser" in given else (CALLER, "loader")
        return name, self._control.temporary(name, acts_as)

    def _run(self, statement: Statement, sql: str, values: list[str]) -> None:
        from redshift_connector.error import Error

        session = statement.session
        statement.status = "STARTED"
        status = "FINISHED"
        try:
            cursor = session.connection.cursor()
            cursor.paramstyle = "qmark"
            cursor.execute(sql, tuple(values) or None)
            statement.count = int(cursor.rowcount)
            if cursor.ps is not None and cursor.ps["row_desc"]:
                statement.columns = columns_of(cursor.ps["row_desc"])
                statement.rows = [record(row, statement.columns) for row in cursor.fetchall()]
                statement.count = len(statement.rows)
        except (Error, OSError, AttributeError) as error:
            told = _message(error)
            status = "ABORTED" if "canceling statement" in told else "FAILED"
            statement.error = f"ERROR: {told}"
            if not isinstance(error, Error) or not isinstance(error.args[0], dict) or "terminating" in told:
                self._end(session)
                statement.error = "ERROR: connection to the server was lost"
        session.busy, session.used_at = False, time.monotonic()
        if session.keep_s == 0:
            self._end(session)
        # Last: who waits for it goes on at once.
        statement.status = status

    def _describe(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found = self._known(given["Id"])
        told: dict[str, Any] = {"Id": found.id, "Status": found.status, "SessionId": found.session.id}
        if found.status == "FINISHED":
            told |= {"HasResultSet": found.columns is not None, "ResultRows": found.count}
        return {**told, "Error": found.error} if found.status == "FAILED" else told

    def _result(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found = self._known(given["Id"])
        if found.status != "FINISHED" or found.columns is None:
            raise AwsRefusedError("ResourceNotFoundException", "Query does not have result.")
        start = int(given.get("NextToken", "0"))
        end = start + self.page_rows
        told = {"Records": found.rows[start:end], "ColumnMetadata": found.columns, "TotalNumRows": len(found.rows)}
        return {**told, "NextToken": str(end)} if end < len(found.rows) else told

    def _cancel(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found = self._known(given["Id"])
        if found.status not in ("SUBMITTED", "STARTED"):
            raise AwsRefusedError("ValidationException", "Could not cancel a query that is already in its end state.")
        self._control.server.psql(f"SELECT pg_cancel_backend({found.session.process})")
        return {"Status": True}

    def _known(self, statement: str) -> Statement:
        if statement not in self._statements:
            raise AwsRefusedError("ResourceNotFoundException", f"Query {statement} does not exist.")
        return self._statements[statement]

    def _end(self, session: Session) -> None:
        self.sessions.pop(session.id, None)
        try:
            session.connection.close()
        except Exception:  # noqa: BLE001 - of whatever state a broken connection is in
            return


def bound(sql: str, parameters: Any) -> tuple[str, list[str]]:
    """The statement with ``?`` for its names, and their values in order, as texts of no type. Raises AwsRefusedError."""
    given = {p["name"]: p["value"] for p in parameters}
    values, used = [], set()
    if len(sql.encode()) > LONGEST_STATEMENT_BYTES:
        raise AwsRefusedError("ValidationException", "Cannot process statement: it is larger than 100 KB.")

    def place(found: re.Match[str]) -> str:
        if found[0] == "?":
            raise AwsRefusedError("ValidationException", "No value specified for parameter 1.")
        if found[1] is None:
            return found[0]
        if found[1] not in given:
            raise AwsRefusedError("ValidationException", f"Parameters list lacks {found[1]}.")
        used.add(found[1])
        values.append(given[found[1]])
        return "?"

    text = _NAMED.sub(place, sql) if given else sql
    if set(given) - used:
        raise AwsRefusedError(
            "ValidationException", f"Parameters list contains unused parameters: {sorted(set(given) - used)}"
        )
    return text, values


def _message(error: BaseException) -> str:
    told = error.args[0] if error.args else ""
    return str(told.get("M", told)) if isinstance(told, dict) else str(told)
