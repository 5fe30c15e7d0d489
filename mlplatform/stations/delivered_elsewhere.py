"""A stream that something else delivers: its station makes sure that there is who does, once, and has nothing else to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.system import SystemSpec
from mlplatform.spec.table import FormatSpec, SourceSpec, TableSpec
from mlplatform.stations.delivery import Delivered, Pending


@dataclass(frozen=True)
class Elsewhere:
    """Where the objects lie, below the stream's prefix, with their suffix; and what could not be delivered. `max_age_s`: how
    long a record waits at most. `prepare` makes who delivers, where it is missing."""

    folder: str
    suffix: str
    errors: str
    max_age_s: float
    prepare: Callable[[], object]


class DeliveredElsewhere:
    """In `Delivery`'s place."""

    def __init__(self, elsewhere: Elsewhere) -> None:
        self._elsewhere = elsewhere
        self._ready = False
        self.max_age = timedelta(seconds=elsewhere.max_age_s)

    def deliver(self, now: datetime) -> list[Delivered]:  # noqa: ARG002
        """Nothing, once there is who does. Raises PlatformError where there is not, and cannot be."""
        if not self._ready:
            self._elsewhere.prepare()
            self._ready = True
        return []

    def pending(self) -> list[Pending]:
        """Nothing that could be told: how far it is, is not said."""
        return []


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
