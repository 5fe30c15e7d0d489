"""A program that the supervisor keeps running, and what is known of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mlplatform.serving.log_file import open_log

State = Literal["starting", "ready", "waiting", "stopped"]
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """What to run.

    Attributes:
        argv: the command; never through a shell.
        env: the whole environment (None = the supervisor's).
        pass_fds: file descriptors it inherits (a listening socket).
        ready: asked until it says yes; None = ready once it runs. It must not block for long.
        stop_s: from SIGTERM to SIGKILL.
        by_wall_clock: it waits until times of the wall clock, and so for ever where that is set back: it is then restarted.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = field(default=None, repr=False)
    cwd: Path | None = None
    pass_fds: tuple[int, ...] = ()
    ready: Callable[[], bool] | None = None
    stop_s: float = 20.0
    by_wall_clock: bool = False


@dataclass(frozen=True)
class ProgramStatus:
    """A program as `mlplatform status` shows it. `process` is its pid and start; `waiting` = for its next try."""

    name: str
    state: State
    pid: int | None
    process: str | None
    restarts: int
    since: str
    log: str
    exit_code: int | None = None


def spawn(program: Program, log: Path) -> subprocess.Popen[bytes]:
    """Start the program in a session of its own, its output appended to `log`.

    On Linux it gets SIGTERM when the thread that called this ends, however it ends: call it from the main thread.
    """
    with open_log(log) as output:
        return subprocess.Popen(
            list(program.argv),
            env=None if program.env is None else dict(program.env),
            cwd=program.cwd,
            pass_fds=program.pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent(os.getpid()) if sys.platform == "linux" else None,
        )


def _die_with_parent(parent: int) -> Callable[[], None]:
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def set_it() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return set_it
