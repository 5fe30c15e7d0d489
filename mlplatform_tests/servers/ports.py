"""Ports for servers of tests: each is given away once, and nothing else on this machine is handed it meanwhile.

A port that the kernel chose and that is bound a moment later may be another's by then: the kernel gives the same ports to every
connection that is opened. So these lie beside the kernel's range, and who was given one holds its name among the abstract sockets
(https://man7.org/linux/man-pages/man7/unix.7.html) until the process ends, however it ends: tests run in several at once.
"""

from __future__ import annotations

import contextlib
import random
import socket
import sys
from pathlib import Path

LOWEST = 11_000
"""Below are ports that programs of this machine may have by their nature."""
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 1000


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on; this process's until it ends."""
    rng = random.SystemRandom()
    for _ in range(_TRIES):
        port = rng.randrange(LOWEST, _kernels_first())
        if _ours(port) and _is_free(port):
            return port
    raise RuntimeError(f"None of {_TRIES} ports between {LOWEST} and {_kernels_first()} is free.")


def _kernels_first() -> int:
    """The first port that the kernel gives to connections."""
    with contextlib.suppress(OSError, ValueError):
        return max(int(_RANGE.read_text().split()[0]), LOWEST + 1000)
    return 32_768


def _ours(port: int) -> bool:
    if sys.platform != "linux":
        return True
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0mlplatform-test-port-{port}")
    except OSError:
        name.close()
        return False
    name.detach()  # closed with the process
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
