"""A sensor's look that lasts: Dagster's daemon asks a sensor each five seconds, and one that keeps looking answers at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import dagster as dg

T = TypeVar("T")

WAIT = "MLPLATFORM_SENSOR_WAIT_S"
"""Environment: seconds for which a look may last; `mlplatform serve` sets it. Without it a look is one glance.

To be less than the five seconds between two rounds of the daemon, so that no round finds the last look going on.
"""

_PAUSE_S = 0.2
_LONG_LOOKS = threading.BoundedSemaphore(2)
"""So many at once in a process: each holds a thread of the code server, which answers the UI too."""


def look(
    find: Callable[[], Sequence[T]], instance: dg.DagsterInstance, env: Mapping[str, str] = os.environ
) -> Sequence[T]:
    """What `find` finds, at the first glance or within the wait.

    Only where Dagster evaluates sensors in threads: otherwise one that waits holds up all others.
    """
    found = find()
    wait_s = float(env.get(WAIT, "0"))
    threads = (instance.get_settings("sensors") or {}).get("use_threads", False)
    if found or wait_s <= 0 or not threads or not _LONG_LOOKS.acquire(blocking=False):
        return found
    try:
        end = time.monotonic() + wait_s
        while not found and time.monotonic() < end:
            time.sleep(_PAUSE_S)
            found = find()
        return found
    finally:
        _LONG_LOOKS.release()
