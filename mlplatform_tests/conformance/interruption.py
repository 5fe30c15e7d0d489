"""Callers that are stopped by a signal in the middle of what they do."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

AGAIN_S = 30.0
"""Long beside what an interrupted call does before it ends."""


@contextmanager
def stopped(by: signal.Signals, when: Callable[[], object]) -> Iterator[None]:
    """This thread gets the signal as soon as it is time.

    An interrupted call of a driver may leave its socket to the collector: behind the block, `gc.collect()` keeps it from the tests
    that follow.
    """
    caller, ended = threading.get_ident(), threading.Event()

    def watch() -> None:
        while not ended.is_set() and not when():
            time.sleep(0.02)
        while not ended.is_set():
            signal.pthread_kill(caller, by)
            # Who was not heard (an error that is raised while an object dies is nobody's) asks again.
            ended.wait(AGAIN_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
