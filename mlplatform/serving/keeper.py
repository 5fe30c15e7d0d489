"""Keeps one program running: starts it, notices its end, starts it again after a growing pause."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mlplatform.serving.descendants import kill_all, session_members
from mlplatform.serving.log_file import rotate
from mlplatform.serving.program import Program, ProgramStatus, State, spawn
from mlplatform.spec.process_name import process_name

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0
STEADY_S = 30.0
"""A program that ran for so long is started again at once when it ends."""


class Keeper:
    """One program. `step` is called again and again with the time; nothing here blocks for long."""

    def __init__(self, program: Program, log: Path, *, clock: Callable[[], float]) -> None:
        self.program = program
        self._log = log
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._again_at = 0.0
        self._pause = FIRST_PAUSE_S
        self.status = ProgramStatus(program.name, "waiting", None, None, 0, _now(), str(log))

    def start(self) -> None:
        """Start the program now."""
        self._started = self._clock()
        try:
            self._process = spawn(self.program, self._log)
        except OSError as error:
            with self._log.open("a") as log:
                log.write(f"cannot start {self.program.argv[0]}: {error}\n")
            self._ended(127)
            return
        pid = self._process.pid
        name = None
        with suppress(ProcessLookupError):
            name = process_name(pid)
        # Also of one that has ended already: it was started, and the next step says how it ended.
        self._say("starting", pid=pid, process=name)

    def step(self) -> None:
        """Look after the program once."""
        if self._process is None:
            if self._clock() >= self._again_at:
                self.status = replace(self.status, restarts=self.status.restarts + 1)
                self.start()
            return
        code = self._process.poll()
        if code is not None:
            kill_all(session_members(self._process.pid))
            self._ended(code)
            return
        if self.status.state == "starting" and (self.program.ready is None or self.program.ready()):
            self._say("ready", pid=self.status.pid, process=self.status.process)
        rotate(self._log)

    def ask_to_stop(self) -> None:
        """SIGTERM to the program itself; it stops its own children."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def stopped(self) -> bool:
        """Whether it ended; then what is left of its session is killed."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return False
            kill_all(session_members(self._process.pid))
            self._process = None
            self._say("stopped", exit_code=code)
        return True

    def kill(self) -> None:
        """SIGKILL to the program and its session."""
        if self._process is not None:
            kill_all([self._process.pid, *session_members(self._process.pid)])
            self._process.wait()
            self.stopped()

    def _ended(self, code: int) -> None:
        self._process = None
        lived = self._clock() - self._started
        self._pause = FIRST_PAUSE_S if lived >= STEADY_S else min(self._pause * 2, LONGEST_PAUSE_S)
        self._again_at = self._clock() + (0.0 if lived >= STEADY_S else self._pause)
        self._say("waiting", exit_code=code)

    def _say(
        self, state: State, *, pid: int | None = None, process: str | None = None, exit_code: int | None = None
    ) -> None:
        self.status = replace(self.status, state=state, pid=pid, process=process, since=_now(), exit_code=exit_code)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
