"""Keeps one process of a model running, and asks it for whoever calls.

Who calls while it is busy waits, and all that wait are asked for at once: such a model costs milliseconds a question,
and next to nothing a row.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlplatform.adapters.runtimes.scorer_process import ScorerProcess
from mlplatform.errors import JobError, PlatformError, TransientError, UnavailableError

if TYPE_CHECKING:
    import numpy.typing as npt

AT_ONCE = 10_000
"""At most so many rows make one question, where they are several callers'."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0
log = logging.getLogger(__name__)


@dataclass
class Question:
    """One caller's rows, and then their scores, or why there are none."""

    matrix: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float64] | None = None
    error: PlatformError | None = None

    @property
    def answered(self) -> bool:
        return self.scores is not None or self.error is not None


class ScorerKeeper:
    """A thread of its own starts the process again when it ends, until `close`."""

    def __init__(self, start: Callable[[], ScorerProcess]) -> None:
        self._start = start
        self._asking = threading.Lock()
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._waiting: deque[Question] = deque()
        self._process: ScorerProcess | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, or None while there is none."""
        process = self._process
        return None if process is None else process.pid

    def begin(self) -> None:
        """Start the first process; what fails here is the caller's."""
        self._process = self._start()
        threading.Thread(target=self._keep, args=(self._process,), daemon=True).start()

    def score(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Scores of the matrix's rows. Raises as `ScorerProcess.score` does; UnavailableError while there is no process."""
        question = Question(matrix)
        self._waiting.append(question)
        with self._asking:
            while not question.answered:
                self._ask(self._next())
        if question.error is not None:
            # Several callers may have been given the same one.
            raise type(question.error)(question.error.message, next_step=question.error.next_step)
        assert question.scores is not None  # noqa: S101 - answered without an error
        return question.scores

    def close(self) -> None:
        """End the process; its thread follows."""
        self._closing.set()
        process = self._process
        if process is not None:
            process.end()

    def _next(self) -> list[Question]:
        """Those that wait, from the first on, as long as they make one question."""
        taken = [self._waiting.popleft()]
        rows = len(taken[0].matrix)
        while self._waiting and rows + len(self._waiting[0].matrix) <= AT_ONCE:
            taken.append(self._waiting.popleft())
            rows += len(taken[-1].matrix)
        return taken

    def _ask(self, questions: list[Question]) -> None:
        process = self._process
        try:
            if process is None:
                raise UnavailableError(
                    "The model's process ended and is being started again.", next_step="Try again in a moment."
                )
            scores = process.score(np.concatenate([q.matrix for q in questions]))
        except JobError as error:
            if len(questions) == 1:
                questions[0].error = error
                return
            # Somebody's rows are to blame: each is asked for alone.
            for question in questions:
                self._ask([question])
        except TransientError as error:
            if process is not None:
                self._lose(process)
                process.end()
            for question in questions:
                question.error = error
        else:
            ends = np.cumsum([len(q.matrix) for q in questions])
            for question, part in zip(questions, np.split(scores, ends[:-1]), strict=True):
                question.scores = part
        finally:
            left = [q for q in questions if not q.answered]
            if left and process is not None:
                # Broken off (by an interrupt, say): its answer would be taken for the next question's.
                self._lose(process)
                process.end()
            for question in left:
                question.error = UnavailableError("The call was broken off.", next_step="Try again.")

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
            except Exception as error:  # noqa: BLE001 - a thread's boundary: with no memory today it is tried again tomorrow
                log.error("model process: %s", error or type(error).__name__)
        return None
