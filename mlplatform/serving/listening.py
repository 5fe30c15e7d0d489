"""Listening sockets: taken once by who supervises, inherited by who serves."""

from __future__ import annotations

import contextlib
import errno
import socket

from mlplatform.errors import ConflictError, PermissionDeniedError, ProfileError


def listen(host: str, port: int, *, backlog: int = 2048) -> socket.socket:
    """A TCP socket that listens on (host, port) and is inherited by children it is passed to; port 0 = any free one.

    Raises:
        ConflictError: the port is taken; names who holds it.
        PermissionDeniedError: a port this user may not have.
        ProfileError: no such address on this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(backlog)
    except OSError as error:
        found.close()
        raise _why(error, host, port) from error
    found.set_inheritable(True)
    return found


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


def check_free(host: str, port: int, *, purpose: str) -> None:
    """Raise ConflictError, naming the holder, where something listens on the port that `purpose` needs."""
    try:
        listen(host, port).close()
    except ConflictError as error:
        raise ConflictError(f"{purpose}: {error.message}", next_step=error.next_step) from error


def holder(port: int) -> str:
    """Who listens on `port`: ``process 4711 (python)``, or what can be said."""
    import psutil

    with contextlib.suppress(psutil.AccessDenied):
        for connection in psutil.net_connections(kind="tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
                with contextlib.suppress(psutil.NoSuchProcess):
                    return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "a process of another user"


def _why(error: OSError, host: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return ConflictError(
            f"Port {port} of {host} is taken by {holder(port)}.",
            next_step="Stop it, or choose another port (in the profile's addresses, or MLPLATFORM_…_PORT).",
        )
    if error.errno == errno.EACCES:
        return PermissionDeniedError(
            f"Port {port} of {host} may not be listened on by this user.",
            next_step="Choose a port from 1024 (in the profile's addresses, or MLPLATFORM_…_PORT).",
        )
    return ProfileError(
        f"'{host}' is no address of this machine: {error.strerror or error}.",
        next_step="Listen on 127.0.0.1, or on 0.0.0.0 for all of its addresses.",
    )
