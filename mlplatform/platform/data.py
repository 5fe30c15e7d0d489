"""One system's stations on data: streams, warehouses, tables, quarantine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, runtime_checkable

from mlplatform.errors import NotFoundError, ProfileError
from mlplatform.platform import connections
from mlplatform.platform.elsewhere import elsewhere_of
from mlplatform.platform.locate import make_importable
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.system import SystemSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.delivered_elsewhere import DeliveredElsewhere, with_elsewhere

if TYPE_CHECKING:
    from mlplatform.core.capture.masking import Masking
    from mlplatform.platform.root import Platform
    from mlplatform.ports.stream import Stream
    from mlplatform.ports.warehouse import Warehouse
    from mlplatform.stations.delivery import Delivery
    from mlplatform.stations.ingest import Ingest
    from mlplatform.stations.producer import Producer
    from mlplatform.stations.quarantine import Quarantine

T = TypeVar("T")


@runtime_checkable
class Closing(Protocol):
    """What holds files or connections open."""

    def close(self) -> None:
        """Give them back."""
        ...


class DataStations:
    """Makes each station once; `spec` is the system's YAML."""

    def __init__(self, platform: Platform, spec: SystemSpec) -> None:
        self.platform = platform
        self._elsewhere = elsewhere_of(platform.profile, spec)
        self.spec = with_elsewhere(spec, self._elsewhere)
        self._made: dict[tuple[str, str], Any] = {}

    def _once(self, kind: str, name: str, make: Callable[[], T]) -> T:
        key = (kind, name)
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])

    def stream(self, name: str) -> Stream:
        """A stream's adapter."""
        spec = self.spec.get(StreamSpec, name)
        found = self.platform.profile.connection("streams", port="stream", system=self.spec.name)
        return self._once("stream", name, lambda: connections.stream(found, self.platform.home, self.spec.name, spec))

    def warehouse(self, connection: str = "warehouse") -> Warehouse:
        """The warehouse behind a connection's name in the YAML."""
        return self._once("warehouse", connection, lambda: self._warehouse(connection))

    def _warehouse(self, connection: str) -> Warehouse:
        p, system, masked = self.platform, self.spec.name, self.spec.is_personal
        found = p.profile.connection(connection, port="warehouse", system=system)
        called = p.profile.called(connection, system)
        if called in p.resources:
            from mlplatform.platform.dagster_resources import warehouse_by

            return warehouse_by(found, p.resources[called], system=system, masked=masked)
        return connections.warehouse(found, p.home, system, lambda: p.secrets, masked=masked)

    def producer(self, stream: str) -> Producer:
        """Puts records on a stream."""
        from mlplatform.stations.producer import Producer

        spec = self.spec.get(StreamSpec, stream)
        return self._once(
            "producer",
            stream,
            lambda: Producer(self.stream(stream), spec, system=self.spec.name, masked=self.spec.is_personal),
        )

    def delivery(self, stream: str) -> Delivery | DeliveredElsewhere:
        """Writes a stream to landing objects, or sees to it that something else does."""
        if stream not in self._elsewhere:
            return self._own_delivery(stream)
        there, ours = self._elsewhere[stream], partial(self._own_delivery, stream)
        return self._once("delivered_elsewhere", stream, lambda: DeliveredElsewhere(there, ours))

    def _own_delivery(self, stream: str) -> Delivery:
        from mlplatform.stations.delivery import Delivery

        spec, store = self.spec.get(StreamSpec, stream), self.platform.store
        if spec.delivery.transform is not None:
            make_importable(self.platform.defs)

        def make() -> Delivery:
            age_s = max(spec.delivery.max_age_s, self._append_interval_s(stream))
            delivered = spec.model_copy(update={"delivery": spec.delivery.model_copy(update={"max_age_s": age_s})})
            return Delivery(self.stream(stream), store, delivered, system=self.spec.name)

        return self._once("delivery", stream, make)

    def _append_interval_s(self, stream: str) -> float:
        """How long a delivery waits at least, for the sake of the warehouses that load it: each is an append."""
        interval_s = 0.0
        for table in self.spec.all(TableSpec):
            if any(source.stream == stream for source in table.sources):
                try:
                    found = self.warehouse(table.connection)
                except ProfileError:
                    continue  # nobody loads it; the records are delivered all the same
                interval_s = max(interval_s, found.capabilities.min_batch_interval_s)
        return interval_s

    def ingest(self, table: str) -> Ingest:
        """Loads a table."""
        return self._once("ingest", table, lambda: self._ingest(self.spec.get(TableSpec, table)))

    def _ingest(self, table: TableSpec) -> Ingest:
        from mlplatform.stations.ingest import Ingest

        warehouse, store = self.warehouse(table.connection), self.platform.store
        return Ingest(
            warehouse, store, table, system=self.spec.name, streams=self._streams(), inbox=self.platform.inbox
        )

    def _streams(self) -> dict[str, StreamSpec]:
        return {s.name: s for s in self.spec.all(StreamSpec)}

    def receipts(self, table: str, *, limit: int | None = 20) -> list[Any]:
        """A table's newest receipts, oldest first; `limit` None = all."""
        from mlplatform.stations.ledger import receipts

        spec = self.spec.get(TableSpec, table)
        found = receipts(self.warehouse(spec.connection), spec.schema_().name)
        return found if limit is None else found[-limit:]

    def quarantine(self, table: str) -> Quarantine:
        """A table's quarantine."""
        from mlplatform.stations.quarantine import Quarantine

        spec = self.spec.get(TableSpec, table)
        return self._once(
            "quarantine",
            table,
            lambda: Quarantine(
                self.warehouse(spec.connection),
                self.platform.store,
                spec,
                system=self.spec.name,
                streams=self._streams(),
            ),
        )

    def masking(self) -> Masking:
        """What makes values unreadable as capture does; without a key for it, by dots."""
        from mlplatform.core.capture.masking import MASK_SECRET, Masking

        try:
            return Masking(key=self.platform.secrets.get(MASK_SECRET).get_secret_value().encode())
        except NotFoundError:
            return Masking()

    def connections(self) -> list[str]:
        """Names of the warehouse connections that this system loads tables through."""
        return sorted({t.connection for t in self.spec.all(TableSpec) if not t.existing})

    def close(self) -> None:
        """Give back what is open; stations made before must not be used any more."""
        for made in self._made.values():
            if isinstance(made, Closing):
                made.close()
        self._made.clear()
