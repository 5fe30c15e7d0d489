"""What the worker counts anyhow, told as metrics: its beat, its troubles, and records by asset."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlplatform.errors import PlatformError
from mlplatform.ports.metrics import Measure, Metrics

log = logging.getLogger(__name__)

BEAT, TROUBLES = "worker_beats", "worker_troubles"
COUNTS = ("records", "arrived", "loaded", "quarantined", "duplicates", "filtered", "unparsed")
LEVELS = ("waiting_in_quarantine",)


@dataclass
class Meter:
    """Adds up what is noted until it is time to tell. Safe to call from several threads; without `metrics` it does nothing.

    It tells in a thread of its own, one time after the other: who counts never waits for the network.
    """

    metrics: Metrics | None
    clock: Callable[[], float] = time.monotonic
    _counts: dict[tuple[tuple[str, ...], str], float] = field(default_factory=lambda: defaultdict(float))
    _levels: dict[tuple[tuple[str, ...], str], float] = field(default_factory=dict)
    _beats: int = 0
    _told_at: float | None = None
    _watched: bool = False
    _works: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _telling: threading.Thread | None = None

    def note(self, asset: tuple[str, ...], metadata: Mapping[str, Any]) -> None:
        """What was done for an asset, in the words of its evidence."""
        with self._lock:
            for name, value in metadata.items():
                if isinstance(value, int | float) and name in COUNTS:
                    self._counts[asset, name] += value
                elif isinstance(value, int | float) and name in LEVELS:
                    self._levels[asset, name] = value

    def beat(self, troubles: int) -> None:
        """The worker lives; told with what was noted, where it is time to."""
        if self.metrics is None:
            return
        now = self.clock()
        with self._lock:
            self._beats += 1
            if self._told_at is not None and now - self._told_at < self.metrics.every_s:
                return
            if self._telling is not None and self._telling.is_alive():
                return
            self._told_at = now
            beats, self._beats = self._beats, 0
            counts, self._counts = self._counts, defaultdict(float)
            levels = dict(self._levels)
        told = [Measure(BEAT, beats, "count"), Measure(TROUBLES, troubles, "level")]
        told += [Measure(name, value, "count", _of(asset)) for (asset, name), value in counts.items()]
        told += [Measure(name, value, "level", _of(asset)) for (asset, name), value in levels.items()]

        def tell(metrics: Metrics) -> None:
            done = False
            try:
                done = self._tell(metrics, told)
            finally:
                if not done:
                    self._take_back(beats, counts)

        self._telling = threading.Thread(target=tell, args=(self.metrics,), name="metrics", daemon=True)
        self._telling.start()

    def wait(self, timeout_s: float) -> None:
        """Until what is being told has been, or has failed; at most so long."""
        if self._telling is not None:
            self._telling.join(timeout_s)

    def _take_back(self, beats: int, counts: Mapping[tuple[tuple[str, ...], str], float]) -> None:
        with self._lock:
            self._beats += beats
            for key, value in counts.items():
                self._counts[key] += value

    def _tell(self, metrics: Metrics, told: list[Measure]) -> bool:
        try:
            if not self._watched:
                metrics.watch(beat=BEAT, troubles=TROUBLES)
                self._watched = True
            metrics.put(told, datetime.now(UTC))
        except PlatformError as error:
            if self._works:
                log.warning("metrics are not told, and are kept until they can be: %s", error)
            self._works = False
            return False
        self._works = True
        return True


def _of(asset: tuple[str, ...]) -> dict[str, str]:
    return {"system": asset[0], "asset": "/".join(asset[1:])}
