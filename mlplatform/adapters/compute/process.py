"""One job's processes: started in a session of their own, measured, stopped as a group, and gone when their starter is.

The starter is told apart from a later process of the same id by its start time. On Linux the kernel kills the job's
first process when the thread that started it ends (PR_SET_PDEATHSIG), however that came; what that process had started
is found by its session id and swept by whoever looks next (`sweep`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

_LAUNCH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    os._exit(125)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Asks for the signal, makes sure the starter did not end before that, and becomes the command."""


@dataclass(frozen=True)
class ProcessId:
    """A process, told apart from a later one of the same id."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        return cls(pid, psutil.Process(pid).create_time())

    def alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def reused(self) -> bool:
        """Whether another process bears the id by now."""
        try:
            return psutil.Process(self.pid).create_time() != self.started
        except psutil.NoSuchProcess:
            return False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def start(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start `command` as leader of a new session, its output appended to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def members(*sessions: int) -> list[psutil.Process]:
    """Living processes of the sessions, their leaders among them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def resident_mib(*sessions: int) -> dict[int, float]:
    """Resident memory of all processes of each session, MiB."""
    total = dict.fromkeys(sessions, 0.0)
    for process in members(*sessions):
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            total[os.getsid(process.pid)] += process.memory_info().rss / 2**20
    return total


def stop(*sessions: int, grace_s: float) -> None:
    """SIGTERM to every process of the sessions, and SIGKILL to those that are there after `grace_s`."""
    _signal(sessions, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while members(*sessions) and time.monotonic() < deadline:
        time.sleep(0.05)
    sweep(*sessions)


def sweep(*sessions: int) -> None:
    """SIGKILL to every process that is left of the sessions."""
    while _signal(sessions, signal.SIGKILL):
        time.sleep(0.02)


def _signal(sessions: Sequence[int], number: int) -> bool:
    found = members(*sessions)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
    return bool(found)


class LogTail:
    """Reads a growing log line by line, from byte `at` on; a line without its end is kept for later."""

    def __init__(self, path: Path, *, at: int = 0) -> None:
        self._path = path
        self._at = at
        self._rest = b""

    def lines(self, *, end: bool = False) -> Iterator[str]:
        """Lines that are complete since the last call; with `end` also what has no line end."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
            self._at += len(data)
            *complete, self._rest = (self._rest + data).split(b"\n")
            for line in complete:
                yield line.decode("utf-8", "replace").rstrip("\r")
        if end and self._rest:
            line, self._rest = self._rest, b""
            yield line.decode("utf-8", "replace")
