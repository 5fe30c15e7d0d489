"""PostgreSQL's wire format, as far as the proxy must understand it.

See https://www.postgresql.org/docs/current/protocol-message-formats.html; Redshift speaks version 3.0 of it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Mapping

SSL_REQUEST = 80877103
CANCEL_REQUEST = 80877102


class Stream:
    """One side of a connection: whole messages in and out."""

    def __init__(self, sock: socket.socket) -> None:
        # Small messages to and fro: none may wait for company.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._file = sock.makefile("rb")

    def encrypt(self, context: ssl.SSLContext) -> None:
        """From here on by TLS, as the server of it."""
        mine, inner = socket.socketpair()
        secure = context.wrap_socket(self._sock, server_side=True)
        threading.Thread(target=_pump, args=(secure, inner), name="tls", daemon=True).start()
        self._sock, self._file = mine, mine.makefile("rb")

    def startup(self) -> tuple[int, bytes] | None:
        """(protocol or request code, what follows) of a message without a type byte; None at the end."""
        head = self._file.read(8)
        if len(head) < 8:
            return None
        length, code = struct.unpack("!ii", head)
        return code, self._file.read(length - 8)

    def message(self) -> tuple[bytes, bytes] | None:
        """(type, body) of the next message; None at the end."""
        head = self._file.read(5)
        if len(head) < 5:
            return None
        (length,) = struct.unpack("!i", head[1:])
        return head[:1], self._file.read(length - 4)

    def send(self, code: bytes, body: bytes) -> None:
        self._sock.sendall(code + struct.pack("!i", len(body) + 4) + body)

    def send_raw(self, data: bytes) -> None:
        self._sock.sendall(data)

    def close(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The other side was faster.
            return
        finally:
            self._file.close()
            self._sock.close()


def _pump(secure: ssl.SSLSocket, inner: socket.socket) -> None:
    """Both ways in one thread: a TLS socket is read and written by one at a time."""
    with secure, inner, contextlib.suppress(OSError):
        while True:
            ready = [secure] if secure.pending() else select.select([secure, inner], [], [])[0]
            for source, target in ((secure, inner), (inner, secure)):
                if source in ready:
                    if not (data := source.recv(65_536)):
                        return
                    target.sendall(data)


def text(body: bytes, start: int = 0) -> tuple[str, int]:
    """The zero-terminated string at `start`, and where the next field begins."""
    end = body.index(b"\0", start)
    return body[start:end].decode(), end + 1


def startup_message(code: int, parameters: Mapping[str, str]) -> bytes:
    """A start-up message with these parameters alone."""
    pairs = b"".join(f"{key}\0{value}\0".encode() for key, value in parameters.items())
    body = struct.pack("!i", code) + pairs + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def startup_parameters(body: bytes) -> dict[str, str]:
    """Parameters of a start-up message."""
    words = [word.decode() for word in body.split(b"\0")]
    return {key: value for key, value in zip(words[::2], words[1::2], strict=False) if key}


def error(message: str, code: str) -> bytes:
    """Body of an ErrorResponse."""
    return b"SERROR\0" + f"C{code}\0M{message}\0".encode() + b"\0"


def retyped(body: bytes, types: Mapping[int, int]) -> tuple[bytes, frozenset[int]]:
    """A RowDescription's body with types renamed by `types`, and the positions of the columns that were."""
    data = bytearray(body)
    (count,) = struct.unpack_from("!h", data)
    position, found = 2, set()
    for index in range(count):
        position = data.index(b"\0", position) + 1
        (oid,) = struct.unpack_from("!i", data, position + 6)
        if oid in types:
            found.add(index)
            struct.pack_into("!i", data, position + 6, types[oid])
        position += 18
    return bytes(data), frozenset(found)


def stripped(body: bytes, columns: frozenset[int], prefix: bytes) -> bytes:
    """A DataRow's body without `prefix` in front of the values of `columns`."""
    (count,) = struct.unpack_from("!h", body)
    position, parts = 2, [body[:2]]
    for index in range(count):
        (length,) = struct.unpack_from("!i", body, position)
        value = b"" if length < 0 else body[position + 4 : position + 4 + length]
        position += 4 + max(length, 0)
        if index in columns:
            value = value.removeprefix(prefix)
        parts.append(struct.pack("!i", -1 if length < 0 else len(value)) + value)
    return b"".join(parts)
