"""Notices that the machine's clock was set.

Seconds of the wall clock are counted beside those of a clock that nobody sets; where they part by more than slewing does,
the clock was set. It may be wrong then, and what is deleted by it is gone; so it is doubted until it has gone on for a while.
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
        self._moved_s = 0.0

    def moved_s(self) -> float:
        """By how much the clock was set since the last look; 0 where it was not."""
        now = self._counted()
        offset = self._wall() - now
        moved_s, self._offset = offset - self._offset, offset
        if abs(moved_s) <= SET_S:
            return 0.0
        self._set_at, self._moved_s = now, moved_s
        return moved_s

    def doubt(self) -> str:
        """Why the clock is not to be believed now, or "" where it is."""
        self.moved_s()
        if self._set_at is None or self._counted() - self._set_at >= BELIEVED_S:
            return ""
        return f"the clock was set by {self._moved_s:+.0f} s; it is believed when it has gone on for {BELIEVED_S:g} s"
