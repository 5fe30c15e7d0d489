"""Models that only their own library loads, in an environment of its own: a process beside this one holds the model.

The package carries all that this takes: `scorer.py` (the program, see `mlplatform.entrypoints.scorer`) and the
`requirements.lock` that it was trained with; the environment is made from that lock where it is not there. What the
package holds may be a pickle: it is loaded in that process only, after its hashes were checked.

A process that ends, or does not answer in time, is started again; calls meanwhile are refused as *try again*.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlplatform.adapters.compute.tree import INHERITED
from mlplatform.adapters.containers.environments import Environments
from mlplatform.adapters.containers.lock import FILE
from mlplatform.adapters.runtimes.scorer_process import ScorerProcess, child_environment
from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import PlatformError, StateError, TransientError, UnavailableError

if TYPE_CHECKING:
    import numpy.typing as npt

START_S = 180.0
"""Loading a model with its libraries may take so long."""

ANSWER_S = 30.0
"""One question may take so long; beyond, the process is taken for hanging and started anew."""

AT_ONCE = 10_000
"""Rows asked for at once; a table is asked for in parts."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0
log = logging.getLogger(__name__)


class ProcessScorer:
    """The scores of a package's model. Any number of threads may call; the process is asked by one after the other.

    It ends with this object, or with the process that this object lives in.
    """

    def __init__(
        self,
        package: Path,
        digest: str,
        environments: Environments,
        *,
        scorer: str,
        start_s: float = START_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._keeper = _Keeper(lambda: _start(package, digest, environments, scorer, start_s, answer_s))
        self._keeper.begin()
        weakref.finalize(self, self._keeper.close)

    def __call__(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        if len(matrix) <= AT_ONCE:
            return self._keeper.score(matrix)
        parts = [self._keeper.score(matrix[at : at + AT_ONCE]) for at in range(0, len(matrix), AT_ONCE)]
        return np.concatenate(parts)

    @property
    def pid(self) -> int | None:
        """Of the process, or None while it is being started again."""
        return self._keeper.pid


class _Keeper:
    """Keeps one process of a model running, in a thread that ends with `close`."""

    def __init__(self, start: Callable[[], ScorerProcess]) -> None:
        self._start = start
        self._asking = threading.Lock()
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._process: ScorerProcess | None = None

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def begin(self) -> None:
        """Start the first process; what fails here is the caller's."""
        self._process = self._start()
        threading.Thread(target=self._keep, args=(self._process,), daemon=True).start()

    def score(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        with self._asking:
            process = self._process
            if process is None:
                raise UnavailableError(
                    "The model's process ended and is being started again.", next_step="Try again in a moment."
                )
            try:
                return process.score(matrix)
            except TransientError:
                self._lose(process)
                process.end()
                raise

    def close(self) -> None:
        """End the process; its thread follows."""
        self._closing.set()
        process = self._process
        if process is not None:
            process.end()

    def _keep(self, process: ScorerProcess) -> None:
        while True:
            code = process.wait()
            self._lose(process)
            process.end()
            if self._closing.is_set():
                return
            log.error("model process %d ended with exit code %d; it is started again", process.pid, code)
            again = self._again()
            if again is None:
                return
            process = self._process = again
            if self._closing.is_set():
                process.end()

    def _lose(self, process: ScorerProcess) -> None:
        """Ask `process` nothing more; another that took its place stays."""
        with self._changing:
            if self._process is process:
                self._process = None

    def _again(self) -> ScorerProcess | None:
        """A new process, however long that takes; None where it is no longer wanted."""
        pause = _FIRST_PAUSE_S
        while not self._closing.wait(pause):
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            try:
                return self._start()
            except PlatformError as error:
                log.error("model process: %s", error)
        return None


def _start(
    package: Path, digest: str, environments: Environments, scorer: str, start_s: float, answer_s: float
) -> ScorerProcess:
    # Each time: what is loaded is code, and may have changed since the last start.
    manifest = read_package(package, digest=digest)
    if FILE not in manifest.files:
        raise StateError(f"package at '{package}' lacks '{FILE}', which runtime 'process' makes its environment from.")
    python = environments.python(package / FILE, what=f"Model '{manifest.model}'", say=log.info)
    env = child_environment(os.environ, INHERITED, environments.variables())
    return ScorerProcess([str(python), scorer], package=package, env=env, start_s=start_s, answer_s=answer_s)
