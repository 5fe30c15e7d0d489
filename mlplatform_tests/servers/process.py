"""Server processes of tests: on a free port of 127.0.0.1, ready when they are handed over, gone when the test is."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
STOP_S = 10.0


def listens(port: int) -> bool:
    """Whether something accepts connections on `port`."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
        # The kernel may have given the probe this very port: it is then connected to itself.
        return bool(probe.getsockname() != probe.getpeername())
    return False


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    ready: Callable[[], bool],
    log: Path,
    env: Mapping[str, str],
    deadline_s: float = 120.0,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """`command` as a process, from when `ready` says so to the end of the block; its output goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(LEASH), str(os.getpid()), *command],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _await(process, ready, log, deadline_s)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, deadline_s: float) -> None:
    deadline = time.monotonic() + deadline_s
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            why = f"ended with {process.returncode}" if process.returncode is not None else f"not up in {deadline_s} s"
            raise RuntimeError(f"{process.args!r}: {why}; its log ends: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)
