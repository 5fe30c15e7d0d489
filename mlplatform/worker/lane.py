"""A lane: continuous stations called in turn by one thread, each with its own patience when it fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

MAX_BACKOFF_S = 30.0


@dataclass
class Task:
    """One station's work: `work()` does what is due and says whether it did anything.

    After a failure it is left alone for a second, then two, four, … at most `MAX_BACKOFF_S`.
    """

    name: str
    work: Callable[[], bool]
    every_s: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    last_error: str = ""
    rounds: int = 0


@dataclass
class Lane:
    """Tasks that share a thread (and so a warehouse connection)."""

    name: str
    tasks: list[Task]
    idle_s: float
    stop: threading.Event
    clock: Callable[[], float] = time.monotonic
    thread: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        """Run rounds in a thread until `stop` is set."""
        self.thread = threading.Thread(target=self._run, name=f"lane-{self.name}", daemon=True)
        self.thread.start()

    def round(self) -> bool:
        """Call each task that is due once; whether any did something."""
        did = False
        for task in self.tasks:
            if self.stop.is_set() or self.clock() < task.not_before:
                continue
            try:
                did |= task.work()
            except Exception as error:  # a lane is a boundary: one fault stops no other
                task.failures += 1
                pause = min(MAX_BACKOFF_S, 2.0 ** (task.failures - 1))
                task.not_before = self.clock() + pause
                task.last_error = f"{type(error).__name__}: {error}"
                log.error(
                    "%s failed (%d times in a row), next try in %.0f s: %s",
                    task.name,
                    task.failures,
                    pause,
                    error,
                    exc_info=True,
                )
            else:
                task.failures, task.last_error = 0, ""
                task.rounds += 1
                task.not_before = self.clock() + task.every_s
        return did

    def _run(self) -> None:
        while not self.stop.is_set():
            if not self.round():
                self.stop.wait(self.idle_s)
