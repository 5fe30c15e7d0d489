"""Lets a Redshift client talk to PostgreSQL: messages pass through, statements pass through the translation.

Whatever Redshift has and PostgreSQL has not stands in `translation.py` and `bulk.py`; here is only the wire:
start-up parameters that PostgreSQL does not know are left out, statements are replaced as they are prepared, and what
a statement needs done on S3 is done right before or right after the server runs it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mlplatform_tests.servers.redshift import wire

TYPES = {17: 6551, 114: 4000}
"""PostgreSQL's types that stand for Redshift's: bytea for VARBYTE, json for SUPER."""


class RedshiftRefusedError(Exception):
    """What Redshift would answer with an error. `code` is its SQLSTATE."""

    def __init__(self, message: str, code: str = "0A000") -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Statement:
    """What PostgreSQL runs instead of `text`, and what happens before and after each run."""

    sql: str
    text: str = ""
    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None
    refused: RedshiftRefusedError | None = None
    retyped: frozenset[int] = frozenset()


class RedshiftProxy:
    """Listens on a port of its own and relays to the server on `server_port`; encrypted with `tls`, where it is given.

    `statements` keeps every SQL text sent. Tests set `on_start` and `on_end`, called with the text of each statement
    before it runs and when it is done but not yet answered: what they raise as OSError ends the client's connection.
    """

    def __init__(
        self, server_port: int, translate: Callable[[str], Statement], tls: ssl.SSLContext | None = None
    ) -> None:
        self.statements: list[str] = []
        self.on_start: Callable[[str], None] | None = None
        self.on_end: Callable[[str], None] | None = None
        self._refusals: list[tuple[str, RedshiftRefusedError]] = []
        self._tls = tls
        self._server_port = server_port
        self._translate = translate
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[wire.Stream] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="redshift-proxy", daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        with self._lock:
            for stream in self._open:
                stream.close()

    def refuse(self, beginning: str, error: RedshiftRefusedError, *, times: int) -> None:
        """Answers the next `times` statements that begin so with `error`."""
        with self._lock:
            self._refusals += [(beginning, error)] * times

    def translated(self, sql: str) -> Statement:
        """What PostgreSQL runs for `sql`. A statement that Redshift refuses becomes one that raises its error."""
        with self._lock:
            self.statements.append(sql)
            refusal = next((r for r in self._refusals if sql.startswith(r[0])), None)
            if refusal is not None:
                self._refusals.remove(refusal)
        try:
            statement = self._translate(sql) if refusal is None else _raising(refusal[1])
        except RedshiftRefusedError as refused:
            statement = _raising(refused)
        statement.text = sql
        return statement

    def started(self, statement: Statement) -> None:
        """Right before the server runs it."""
        if self.on_start is not None:
            self.on_start(statement.text)
        statement.refused = None
        _run(statement.before, statement)

    def ended(self, statement: Statement) -> None:
        """The server has run it; the client does not know."""
        if self.on_end is not None:
            self.on_end(statement.text)
        if statement.refused is None:
            _run(statement.after, statement)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="redshift-client", daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        client = wire.Stream(sock)
        server = wire.Stream(socket.create_connection(("127.0.0.1", self._server_port)))
        with self._lock:
            self._open |= {client, server}
        try:
            if _start(client, server, self._tls):
                session = _Session(client, server, self)
                back = threading.Thread(target=session.answers, name="redshift-answers", daemon=True)
                back.start()
                session.requests()
        except (OSError, ValueError):
            # One side has gone (a closed stream says ValueError); so goes the other.
            pass
        finally:
            with self._lock:
                self._open -= {client, server}
            client.close()
            server.close()


@dataclass
class _Session:
    """One connection. The driver waits for every answer, so that requests and answers pair in order."""

    client: wire.Stream
    server: wire.Stream
    proxy: RedshiftProxy
    prepared: dict[str, Statement] = field(default_factory=dict)
    portals: dict[str, str] = field(default_factory=dict)
    waiting: deque[tuple[bytes, Statement]] = field(default_factory=deque)

    def requests(self) -> None:
        """Relays what the client sends, statements translated."""
        while (found := self.client.message()) is not None:
            code, body = found
            if code == b"P":
                name, position = wire.text(body)
                sql, rest = wire.text(body, position)
                self.prepared[name] = self.proxy.translated(sql)
                body = f"{name}\0{self.prepared[name].sql}\0".encode() + body[rest:]
            elif code == b"D" and body[:1] == b"S":
                self.waiting.append((b"D", self.prepared[wire.text(body, 1)[0]]))
            elif code == b"B":
                portal, position = wire.text(body)
                self.portals[portal] = wire.text(body, position)[0]
            elif code == b"E":
                statement = self.prepared[self.portals[wire.text(body)[0]]]
                self.waiting.append((b"E", statement))
                self.proxy.started(statement)
            elif code == b"Q":
                statement = self.proxy.translated(wire.text(body)[0])
                self.waiting.append((b"E", statement))
                self.proxy.started(statement)
                body = f"{statement.sql}\0".encode()
            self.server.send(code, body)

    def answers(self) -> None:
        """Relays what the server answers, types and VARBYTE values as Redshift writes them."""
        with contextlib.suppress(OSError, ValueError):
            while (found := self.server.message()) is not None:
                self.client.send(*self._answer(*found))
        self.client.close()

    def _answer(self, code: bytes, body: bytes) -> tuple[bytes, bytes]:
        if code == b"Z":
            self.waiting.clear()
        elif code in (b"T", b"n") and self.waiting and self.waiting[0][0] == b"D":
            _, statement = self.waiting.popleft()
            if code == b"T":
                body, statement.retyped = wire.retyped(body, TYPES)
        elif code == b"D" and self.waiting and self.waiting[0][1].retyped:
            body = wire.stripped(body, self.waiting[0][1].retyped, b"\\x")
        elif code == b"C" and self.waiting:
            _, statement = self.waiting.popleft()
            self.proxy.ended(statement)
            if statement.refused is not None:
                return b"E", _refusal(statement)
        elif code == b"E" and self.waiting and self.waiting[0][1].refused is not None:
            return code, _refusal(self.waiting[0][1])
        return code, body


def _start(client: wire.Stream, server: wire.Stream, tls: ssl.SSLContext | None) -> bool:
    """Start-up: encrypted where there is a certificate, with the parameters that PostgreSQL knows. False for a request to cancel."""
    while (found := client.startup()) is not None:
        code, body = found
        if code == wire.SSL_REQUEST:
            client.send_raw(b"N" if tls is None else b"S")
            if tls is not None:
                client.encrypt(tls)
            continue
        if code == wire.CANCEL_REQUEST:
            server.send_raw(b"\0\0\0\x10" + code.to_bytes(4, "big") + body)
            return False
        known = {
            k: v for k, v in wire.startup_parameters(body).items() if k in ("user", "database", "application_name")
        }
        server.send_raw(wire.startup_message(code, known))
        return True
    return False


def _run(step: Callable[[], None] | None, statement: Statement) -> None:
    if step is None:
        return
    try:
        step()
    except RedshiftRefusedError as refused:
        statement.refused = refused


def _refusal(statement: Statement) -> bytes:
    refused, statement.refused = statement.refused, None
    assert refused is not None
    return wire.error(str(refused), refused.code)


def _raising(refused: RedshiftRefusedError) -> Statement:
    message = str(refused).replace("'", "''").replace("%", "%%")
    return Statement(f"DO $refused$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = '{refused.code}'; END $refused$")
