"""The lock that one supervisor of a home holds, and the sweep of what an earlier one left behind.

A supervisor's programs get SIGTERM when it ends, also after a ``kill -9`` (Linux). They may still be ending when the next
one starts, hang, or have children; while they live they hold ports. So the next supervisor takes the lock first, waits a
moment, and kills what is left, before it looks at anything else.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from mlplatform.errors import ConflictError
from mlplatform.serving.descendants import kill_all, session_members
from mlplatform.serving.supervisor_file import read_status
from mlplatform.spec.process_name import is_alive, process_name

LOCK = "supervisor.lock"
GRACE_S = 2.0
"""What an earlier supervisor left may take so long to end by itself: requests in flight, what waits to be captured."""
STEP_S = 0.05
log = logging.getLogger(__name__)


class SupervisorLock:
    """Held by this process until `release`, or its end."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    @classmethod
    def take(cls, run: Path, *, clock: Callable[[], float] = time.monotonic) -> SupervisorLock:
        """Take the lock under `run`, and sweep what a killed supervisor left.

        Raises:
            ConflictError: another supervisor holds it; names its pid.
        """
        run.mkdir(parents=True, exist_ok=True)
        file = (run / LOCK).open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip().partition("-")[0] or "?"
            file.close()
            raise ConflictError(
                f"'mlplatform serve' runs already on '{run.parent}', as process {holder}.",
                next_step=f"Use that one (mlplatform status), or stop it: kill {holder}",
            ) from error
        file.truncate(0)
        file.write(process_name())
        file.flush()
        os.set_inheritable(file.fileno(), False)
        _sweep(run, clock)
        return cls(file)

    def release(self) -> None:
        """Let the next supervisor start."""
        self._file.close()


def _sweep(run: Path, clock: Callable[[], float]) -> None:
    deadline = clock() + GRACE_S
    while (left := dict(_left(run))) and clock() < deadline:
        time.sleep(STEP_S)
    for name, pids in left.items():
        log.warning("%s of an earlier supervisor was still there (%s); killed", name, pids)
        kill_all(pids)


def _left(run: Path) -> Iterator[tuple[str, list[int]]]:
    """Programs of an earlier supervisor that are still there, each with what is left of its session."""
    found = read_status(run)
    for program in found.programs if found else ():
        if program.process is None:
            continue
        pid = int(program.process.partition("-")[0])
        alive = is_alive(program.process)
        # A pid that another process has by now says nothing; an ended leader's (also a zombie's) is still its own.
        taken = not alive and _lives(pid)
        pids = [] if taken else [*([pid] if alive else []), *session_members(pid)]
        if pids:
            yield program.name, pids


def _lives(pid: int) -> bool:
    try:
        process_name(pid)
    except ProcessLookupError:
        return False
    return True
