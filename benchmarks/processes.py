"""Processes that are measured: warm ones that answer requests, and servers on a free port. None outlives its block."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
STOP_S = 15.0
ANSWER_S = 3600.0
"""Longest wait for a warm process's answer: many times what the longest takes."""
_PR_SET_PDEATHSIG = 1


class Warm:
    """A process that runs `benchmarks.measured.answer`; it is asked again and again, and stays warm.

    An answer that takes longer than `limit_s` ends it.
    """

    def __init__(self, module: str, process: subprocess.Popen[str], log: Path, limit_s: float) -> None:
        self._module = module
        self._process = process
        self._log = log
        self._limit_s = limit_s

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """What the handler `do` said, with its ``seconds`` and ``peak_mib``."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        late = threading.Event()
        timer = threading.Timer(self._limit_s, self._give_up, [late])
        timer.daemon = True
        timer.start()
        try:
            while line := self._process.stdout.readline():
                if line.startswith('{"seconds"'):
                    return dict(json.loads(line))
        finally:
            timer.cancel()
            timer.join()
        asked = f"'{do}' of {self._module} ({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
        how = f"did not answer in {self._limit_s:g} s" if late.is_set() else "ended the process"
        raise RuntimeError(f"{asked} {how}; its log ends:\n{tail(self._log)}")

    def _give_up(self, late: threading.Event) -> None:
        late.set()
        self._process.kill()


@contextlib.contextmanager
def warm(
    module: str,
    *,
    python: Path | None = None,
    log: Path,
    env: Mapping[str, str] | None = None,
    limit_s: float = ANSWER_S,
) -> Iterator[Warm]:
    """The module `module` as a warm process, with `python` (default: this one)."""
    command = [str(python or sys.executable), "-m", module]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(env or os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            preexec_fn=_end_with_parent(),
        )
    try:
        yield Warm(module, process, log, limit_s)
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def server(
    command: Sequence[str],
    *,
    ready: Callable[[], bool],
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    deadline_s: float = 120.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """`command` with all it starts, from when `ready` says so to the end of the block; its output goes to `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            env=dict(env or os.environ),
            cwd=cwd or ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent(),
        )
    try:
        deadline = time.monotonic() + deadline_s
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                why = "it ended" if process.returncode is not None else f"it was not up after {deadline_s:g} s"
                raise RuntimeError(f"{' '.join(command)}: {why}; its log ends:\n{tail(log)}")
            time.sleep(0.1)
        yield process
    finally:
        _stop(process)


def free_port() -> int:
    """A port of 127.0.0.1 that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def tail(log: Path, size: int = 3000) -> str:
    """The end of a log."""
    return log.read_text(errors="replace")[-size:] if log.exists() else ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the process, then SIGKILL to what is left of its session."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
