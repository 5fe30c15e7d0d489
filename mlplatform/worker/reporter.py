"""Tells the orchestrator what the worker did: at most one report an asset and `every_s`, none lost at the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlplatform.errors import PlatformError
from mlplatform.ports.asset_events import AssetEvents, CheckOutcome

log = logging.getLogger(__name__)


@dataclass
class _Waiting:
    metadata: Mapping[str, Any]
    checks: Sequence[CheckOutcome]


@dataclass
class Reporter:
    """Collects the newest evidence of each asset; `flush` reports what is due. Safe to call from several threads."""

    events: Callable[[], AssetEvents]
    every_s: float
    clock: Callable[[], float] = time.monotonic
    counted: Callable[[tuple[str, ...], Mapping[str, Any]], None] = lambda _asset, _metadata: None
    _waiting: dict[tuple[str, ...], _Waiting] = field(default_factory=dict)
    _reported: dict[tuple[str, ...], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, asset: tuple[str, ...], metadata: Mapping[str, Any], checks: Sequence[CheckOutcome]) -> None:
        """Keep the newest state of `asset` for the next report."""
        self.counted(asset, metadata)
        with self._lock:
            self._waiting[asset] = _Waiting(metadata, checks)

    def flush(self, *, force: bool = False) -> int:
        """Report what waits and is due (all of it with `force`); how many reports went out."""
        with self._lock:
            now = self.clock()
            due = {
                asset: waiting
                for asset, waiting in self._waiting.items()
                if force or asset not in self._reported or now - self._reported[asset] >= self.every_s
            }
            for asset in due:
                del self._waiting[asset]
                self._reported[asset] = now
        for asset, waiting in due.items():
            try:
                self.events().materialized(asset, metadata=waiting.metadata, checks=waiting.checks)
            except PlatformError as error:
                log.warning("%s was not reported: %s", "/".join(asset), error)
                with self._lock:
                    self._waiting.setdefault(asset, waiting)
        return len(due)
