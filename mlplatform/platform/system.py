"""One system's stations, each made with the adapters that the profile binds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from mlplatform.platform import connections
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.spec.notification import NotifySpec
from mlplatform.spec.refresh import RefreshSpec
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.system import SystemSpec
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform
    from mlplatform.ports.stream import Stream
    from mlplatform.ports.warehouse import Warehouse
    from mlplatform.stations.capture import Capture
    from mlplatform.stations.data_tests import DataTests
    from mlplatform.stations.delivery import Delivery
    from mlplatform.stations.features import Features
    from mlplatform.stations.gate import Gate
    from mlplatform.stations.ingest import Ingest
    from mlplatform.stations.maintenance import Maintenance
    from mlplatform.stations.monitor import Monitor
    from mlplatform.stations.notify import Notify
    from mlplatform.stations.producer import Producer
    from mlplatform.stations.quarantine import Quarantine
    from mlplatform.stations.registry import Registry
    from mlplatform.stations.retrain import Retrain
    from mlplatform.stations.rollout import Rollout
    from mlplatform.stations.training import Training


class SystemStations:
    """Makes each station once; `spec` is the system's YAML."""

    def __init__(self, platform: Platform, spec: SystemSpec) -> None:
        self.platform = platform
        self.spec = spec
        self._made: dict[tuple[str, str], Any] = {}

    def _once(self, kind: str, name: str, make: Callable[[], Any]) -> Any:
        key = (kind, name)
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def stream(self, name: str) -> Stream:
        """A stream's adapter."""
        spec = self.spec.get(StreamSpec, name)
        found = self.platform.profile.connection("streams", port="stream", system=self.spec.name)
        return self._once("stream", name, lambda: connections.stream(found, self.platform.home, self.spec.name, spec))

    def warehouse(self, connection: str = "warehouse") -> Warehouse:
        """The warehouse behind a connection's name in the YAML."""
        found = self.platform.profile.connection(connection, port="warehouse", system=self.spec.name)
        home, secrets = self.platform.home, self.platform.secrets
        return self._once("warehouse", connection, lambda: connections.warehouse(found, home, self.spec.name, secrets))

    def producer(self, stream: str) -> Producer:
        """Puts records on a stream."""
        from mlplatform.stations.producer import Producer

        spec = self.spec.get(StreamSpec, stream)
        return self._once("producer", stream, lambda: Producer(self.stream(stream), spec, system=self.spec.name))

    def delivery(self, stream: str) -> Delivery:
        """Writes a stream to landing objects."""
        from mlplatform.stations.delivery import Delivery

        spec, store = self.spec.get(StreamSpec, stream), self.platform.store
        return self._once("delivery", stream, lambda: Delivery(self.stream(stream), store, spec, system=self.spec.name))

    def ingest(self, table: str) -> Ingest:
        """Loads a table."""
        return self._once("ingest", table, lambda: self._ingest(self.spec.get(TableSpec, table)))

    def _ingest(self, table: TableSpec) -> Ingest:
        from mlplatform.stations.ingest import Ingest

        streams = {s.name: s for s in self.spec.all(StreamSpec)}
        store = self.platform.store
        return Ingest(self.warehouse(table.connection), store, table, system=self.spec.name, streams=streams)

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
            lambda: Quarantine(self.warehouse(spec.connection), self.platform.store, spec, system=self.spec.name),
        )

    def endpoint_parts(self, endpoint: str) -> tuple[EndpointSpec, ModelSpec, FeatureSetSpec, TableSpec]:
        """An endpoint's spec and, through it, its model's, feature set's and table's."""
        spec = self.spec.get(EndpointSpec, endpoint)
        model = self.spec.get(ModelSpec, spec.model)
        features = self.spec.get(FeatureSetSpec, model.features)
        return spec, model, features, self.spec.get(TableSpec, features.table)

    def monitor(self, name: str) -> Monitor:
        """Judges windows."""
        return self._once("monitor", name, lambda: self._monitor(self.spec.get(MonitorSpec, name)))

    def _monitor(self, spec: MonitorSpec) -> Monitor:
        from mlplatform.stations.monitor import Monitor

        endpoint, model, features, _ = self.endpoint_parts(spec.endpoint)
        table, p = self.spec.get(TableSpec, spec.table), self.platform
        return Monitor(
            self.warehouse(table.connection),
            p.store,
            p.tracking,
            p.runtimes,
            p.endpoints,
            p.items,
            p.expectations,
            spec,
            endpoint,
            model,
            features,
            table,
            system=self.spec.name,
            query_sql=self.spec.query(features),
        )

    def evaluations(self, monitor: str) -> list[Any]:
        """What a monitor judged, oldest first."""
        return self.monitor(monitor).evaluations()

    def retrain(self, endpoint: str) -> Retrain:
        """Turns failed evaluations, and the first data, into requests."""
        return self._once("retrain", endpoint, lambda: self._retrain(endpoint))

    def _retrain(self, endpoint: str) -> Retrain:
        from mlplatform.stations.retrain import Retrain

        spec, _, _, table = self.endpoint_parts(endpoint)
        refresh = next((r for r in self.spec.all(RefreshSpec) if r.endpoint == endpoint), None)
        return Retrain(
            self.platform.items,
            self.platform.endpoints,
            self.warehouse(table.connection),
            spec,
            table,
            system=self.spec.name,
            monitors=self.spec.all(MonitorSpec),
            refresh=refresh,
        )

    def retrains(self) -> list[Retrain]:
        """One for each endpoint."""
        return [self.retrain(e.name) for e in self.spec.all(EndpointSpec)]
