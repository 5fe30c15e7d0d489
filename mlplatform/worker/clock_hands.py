"""What the worker does when the machine's clock was set: it says so once, and brings back what would wait for a wrong time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from mlplatform.errors import PlatformError
from mlplatform.platform import Platform
from mlplatform.stations.steady_clock import SteadyClock

log = logging.getLogger(__name__)

RESTLESS_S = 120.0
"""So long after the clock was set, a daemon that was told to end may still write down times of before, and one look is not enough."""


@dataclass
class ClockHands:
    """Looked at every beat."""

    platform: Platform
    clock: SteadyClock
    doubted: bool = False
    looked: bool = False

    def look(self) -> str:
        """Bring back what lies ahead where the clock was set lately; the trouble to tell, or ""."""
        doubt, for_s = self.clock.doubt(), self.clock.doubted_for_s()
        if not self.looked or (for_s is not None and for_s < RESTLESS_S):
            self._bring_back()
        self.looked = True
        if bool(doubt) != self.doubted:
            self.doubted = bool(doubt)
            if doubt:
                log.warning("housekeeping waits, files are merged but none deleted: %s", doubt)
            else:
                log.info("the clock is believed again: housekeeping goes on")
        return f"waits: {doubt}" if doubt and self.clock.was_set() else ""

    def _bring_back(self) -> None:
        try:
            late = self.platform.asset_events.bring_back(datetime.now(UTC))
        except PlatformError as error:
            log.warning("sensors and schedules were not brought back to now, next try at the next beat: %s", error)
            return
        if late:
            log.warning("the clock was set back; evaluated after now were: %s", ", ".join(late))
