"""A stream that something else delivers: its station makes sure that there is who does, looks after it now and then, and
delivers itself what had arrived before the other began."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.system import SystemSpec
from mlplatform.spec.table import FormatSpec, SourceSpec, TableSpec
from mlplatform.stations.delivery import Delivered, Delivery, Pending

LOOK_S = 10.0
"""How often it is looked whether who delivers has begun …"""
LOOK_AGAIN_S = 300.0
"""… and afterwards, whether all is well with it."""
OVERLAP = timedelta(minutes=1)
"""For so long after it began, both deliver: two services' clocks differ, and a table's unique key tells what came twice."""


@dataclass(frozen=True)
class Elsewhere:
    """Where the objects lie, below the stream's prefix, with their suffix; and what could not be delivered. `max_age_s`: how
    long a record waits at most. `prepare` makes who delivers, where it is missing, and raises PlatformError where all is not
    well with it; `since` only looks. Both tell from when on it takes what arrives, None while it does not yet."""

    folder: str
    suffix: str
    errors: str
    max_age_s: float
    prepare: Callable[[], datetime | None]
    since: Callable[[], datetime | None]


class DeliveredElsewhere:
    """In `Delivery`'s place. What had arrived before the other began is on the stream still, and it does not take it: that is
    delivered by `ours`."""

    def __init__(
        self, elsewhere: Elsewhere, ours: Callable[[], Delivery], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._elsewhere = elsewhere
        self._ours = ours
        self._clock = clock
        self._looked_at: float | None = None
        self._since: datetime | None = None
        self._taken_over = False
        self.max_age = timedelta(seconds=elsewhere.max_age_s)

    def deliver(self, now: datetime) -> list[Delivered]:
        """What the other does not take. Raises PlatformError where it does not deliver, and cannot: nothing is lost as long as
        the stream keeps it."""
        self._look()
        if self._taken_over:
            return []
        until = None if self._since is None else self._since + OVERLAP
        ours = self._ours()
        done = ours.deliver(now, until)
        self._taken_over = until is not None and now >= until + ours.max_age
        return done

    def pending(self) -> list[Pending]:
        """What waits for our own delivery; how far the other is, is not said."""
        if self._taken_over:
            return []
        since = self._since or self._elsewhere.since()
        found = self._ours().pending()
        if since is None:
            return found
        return [each for each in found if each.oldest_at is not None and each.oldest_at <= since + OVERLAP]

    def _look(self) -> None:
        every_s = LOOK_S if self._since is None else LOOK_AGAIN_S
        if self._looked_at is not None and self._clock() - self._looked_at < every_s:
            return
        since = self._elsewhere.prepare()
        # Made anew, it begins anew.
        self._taken_over = self._taken_over and since == self._since
        self._since, self._looked_at = since, self._clock()


def with_elsewhere(spec: SystemSpec, streams: dict[str, Elsewhere]) -> SystemSpec:
    """`spec` with what is delivered elsewhere among its tables' sources: objects beside those of our own delivery, which stay
    a source, so that what it delivered before is loaded too."""
    if not streams:
        return spec
    stations = tuple(_table(spec, s, streams) if isinstance(s, TableSpec) else s for s in spec.stations)
    return SystemSpec(spec.name, spec.folder, stations)


def _table(spec: SystemSpec, table: TableSpec, streams: dict[str, Elsewhere]) -> TableSpec:
    more = []
    for source in table.sources:
        if source.stream in streams:
            found, prefix = streams[source.stream], spec.get(StreamSpec, source.stream).delivery.prefix
            lines = FormatSpec(type="jsonl")
            more.append(SourceSpec(prefix=f"{prefix}{found.folder}", suffix=found.suffix, format=lines))
            more.append(SourceSpec(prefix=f"{prefix}{found.errors}", format=lines))
    return table.model_copy(update={"sources": [*table.sources, *more]}) if more else table
