"""One process that holds one model: started, asked, ended."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.core.packages.scorer_frames import VERSION, read_frame, rows_frame, scores_of, write_frame
from mlplatform.errors import JobError, StateError, TimedOutError, UnavailableError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

log = logging.getLogger(__name__)


class ScorerProcess:
    """A running scorer. Not for several threads at once: one question, one answer."""

    def __init__(
        self, command: Sequence[str], *, package: Path, env: Mapping[str, str], start_s: float, answer_s: float
    ) -> None:
        """Start `command` in the package's folder and wait until the model is loaded.

        Raises:
            StateError: the program says that it cannot load the model, or speaks otherwise than this release.
            UnavailableError: it cannot be started, or ended before it was ready.
            TimedOutError: it is not ready after `start_s`.
        """
        self._answer_s = answer_s
        self._what = f"The program that loads the model package at '{package}'"
        try:
            self._channel, self._process = _started(command, package, env)
        except (OSError, subprocess.SubprocessError) as error:
            # Too many files or processes, no memory, no such interpreter: what an operator, or time, may mend.
            where = f": '{error.filename}'" if isinstance(error, OSError) and error.filename else ""
            why = error.strerror if isinstance(error, OSError) else error
            raise UnavailableError(f"{self._what} cannot be started: {why}{where}.") from error
        try:
            self._open(package, start_s)
        except BaseException:
            self.end()
            self._process.wait()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def score(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Scores of the matrix's rows.

        Raises:
            JobError: the model's own code failed on them; why, stands in the log.
            TimedOutError, UnavailableError: it did not answer in time, or is gone. It is of no use any more.
        """
        deadline = time.monotonic() + self._answer_s
        try:
            write_frame(self._channel, rows_frame(matrix), deadline=deadline)
            frame = read_frame(self._channel, deadline=deadline)
        except TimeoutError as error:
            raise TimedOutError(
                f"The model did not answer within {self._answer_s:g} s.", next_step="Send fewer rows, or try again."
            ) from error
        except OSError as error:
            raise UnavailableError("The model's process ended.", next_step="Try again in a moment.") from error
        if frame is None:
            raise UnavailableError("The model's process ended.", next_step="Try again in a moment.")
        if frame.kind == "DONE" and frame.first == len(matrix):
            return scores_of(frame)
        log.error("process %d could not score %d rows: %s", self.pid, len(matrix), frame.text)
        raise JobError("The model's own program failed on these rows.", next_step="Its log says why.")

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        return self._process.wait()

    def end(self) -> None:
        """End it at once: it holds no state."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        self._process.kill()

    def _open(self, package: Path, start_s: float) -> None:
        try:
            frame = read_frame(self._channel, deadline=time.monotonic() + start_s)
        except TimeoutError as error:
            raise TimedOutError(f"{self._what} was not ready after {start_s:g} s.") from error
        except OSError as error:
            raise UnavailableError(f"{self._what} ended before it was ready: {error}.") from error
        if frame is None:
            code = self._process.wait()
            raise UnavailableError(f"{self._what} ended with exit code {code} before it was ready; its log says why.")
        if frame.kind == "FAIL":
            raise StateError(f"'{package}' is no model that its program loads: {frame.text}.")
        if frame.kind != "OPEN" or frame.first != VERSION:
            raise StateError(f"{self._what} speaks version {frame.first}; this release speaks {VERSION}.")


def _started(
    command: Sequence[str], package: Path, env: Mapping[str, str]
) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            # Its output goes where this process's errors go: a log, or a terminal.
            return ours, subprocess.Popen(command, cwd=package, env=dict(env), stdin=theirs.fileno(), stdout=2)
        except BaseException:
            ours.close()
            raise


def child_environment(inherited: Mapping[str, str], names: Sequence[str], more: Mapping[str, str]) -> dict[str, str]:
    """What such a process sees: of the owner's variables those in `names`, no secret among them."""
    # One thread a process: rows of a request are few, and a server's parallelism is its worker processes.
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    kept = {name: inherited[name] for name in names if name in inherited}
    return {**one, **kept, "PYTHONUNBUFFERED": "1", **more}
