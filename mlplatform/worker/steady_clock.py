"""Whether the wall clock can be believed: a clock that was set a moment ago may be wrong, and what is deleted by it is gone.

Seconds of the wall clock are counted beside those of a clock that nobody sets. Where they part by more than slewing does,
the clock was set; once it has gone on for a while, it is taken to be right.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SET_S = 60.0
"""A difference beyond this, between two looks, is no slewing."""
BELIEVED_S = 3600.0
"""So long after it was set, a clock is believed."""


def uptime() -> float:
    """Seconds since some start, those in which the machine was suspended among them where the system counts them."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class SteadyClock:
    """Looks at both clocks whenever it is asked."""

    def __init__(self, *, wall: Callable[[], float] = time.time, counted: Callable[[], float] = uptime) -> None:
        self._wall = wall
        self._counted = counted
        self._offset = wall() - counted()
        self._set_at: float | None = None
        self._moved = 0.0

    def doubt(self) -> str:
        """Why the clock is not to be believed now, or "" where it is."""
        now = self._counted()
        offset = self._wall() - now
        moved, self._offset = offset - self._offset, offset
        if abs(moved) > SET_S:
            self._set_at, self._moved = now, moved
        if self._set_at is None or now - self._set_at >= BELIEVED_S:
            return ""
        return f"the clock was set by {self._moved:+.0f} s; it is believed when it has gone on for {BELIEVED_S:g} s"
