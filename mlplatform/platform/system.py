"""One system's stations, each made with the adapters that the profile binds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from mlplatform.platform import connections
from mlplatform.platform.data import DataStations
from mlplatform.platform.job_source import source_of
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.loader import fingerprint
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.spec.notification import NotifySpec
from mlplatform.spec.refresh import RefreshSpec
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from mlplatform.ports.notifications import Notifications
    from mlplatform.ports.warehouse import Warehouse
    from mlplatform.stations.backlog import Backlog
    from mlplatform.stations.capture import Capture
    from mlplatform.stations.data_tests import DataTests
    from mlplatform.stations.features import Features
    from mlplatform.stations.gate import Gate
    from mlplatform.stations.ingest import Ingest
    from mlplatform.stations.lineage import Lineage
    from mlplatform.stations.maintenance import Maintenance
    from mlplatform.stations.monitor import Monitor
    from mlplatform.stations.notify import Notify
    from mlplatform.stations.pinned import Pinned
    from mlplatform.stations.registry import Registry
    from mlplatform.stations.retrain import Retrain
    from mlplatform.stations.rollout import Rollout
    from mlplatform.stations.training import Training, WarehouseSource

log = logging.getLogger(__name__)


class SystemStations(DataStations):
    """All stations of a system."""

    def prepare(self) -> None:
        """Make what several processes would otherwise make at once: shards, tables, the tracker's database."""
        for stream in self.spec.all(StreamSpec):
            self.stream(stream.name).shards()
        for table in self.spec.all(TableSpec):
            if not table.existing:
                self.ingest(table.name).create()
        for model in self.spec.all(ModelSpec):
            self.registry(model.name).versions()

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
            personal=self.spec.personal(features),
            waiting=self._waiting(table),
        )

    def _waiting(self, table: TableSpec) -> Callable[[datetime], Collection[str]]:
        """See `Backlog.sources`; of a table that others load, nothing is known to wait."""
        return (lambda _: ()) if table.existing else self._backlog(table).sources

    def _backlog(self, table: TableSpec) -> Backlog:
        from mlplatform.stations.backlog import Backlog

        own = [s.stream for s in table.sources if s.stream is not None and s.stream not in self._elsewhere]
        streams = {name: self.stream(name) for name in own}
        return Backlog(self.warehouse(table.connection), self.platform.store, self.ingest(table.name), streams)

    def evaluations(self, monitor: str) -> list[Any]:
        """What a monitor judged, oldest first."""
        return self.monitor(monitor).evaluations()

    def retrain(self, station: str) -> Retrain:
        """Turns failed evaluations, and the first data, into requests, for an endpoint or a model that none serves."""
        return self._once("retrain", station, lambda: self._retrain(station))

    def _retrain(self, station: str) -> Retrain:
        from mlplatform.stations.live import live_digest
        from mlplatform.stations.retrain import Retrain

        served = next((e for e in self.spec.all(EndpointSpec) if e.name == station), None)
        model = self.spec.get(ModelSpec, served.model if served else station)
        table = self.spec.get(TableSpec, self.spec.get(FeatureSetSpec, model.features).table)
        p, name = self.platform, f"{self.spec.name}/{station}"

        def champion() -> str | None:
            if served is not None:
                return live_digest(p.endpoints, name)
            registered = self.registry(model.name).champion()
            return None if registered is None else registered.digest

        return Retrain(
            p.items,
            self.warehouse(table.connection),
            table,
            system=self.spec.name,
            station=station,
            champion=champion,
            monitors=self.spec.all(MonitorSpec),
            refresh=next((r for r in self.spec.all(RefreshSpec) if r.station == station), None),
            spec_version=fingerprint(self.spec),
            doubt=p.clock_doubt,
            waiting=self._waiting(table),
        )

    def retrains(self) -> list[Retrain]:
        """One for each endpoint, and for each model that is refreshed without one."""
        unserved = [r.model for r in self.spec.all(RefreshSpec) if r.model is not None]
        return [self.retrain(name) for name in [*(e.name for e in self.spec.all(EndpointSpec)), *unserved]]

    def rollout(self, endpoint: str) -> Rollout:
        """Deploys versions to an endpoint."""
        from mlplatform.stations.rollout import Rollout

        spec, p = self.spec.get(EndpointSpec, endpoint), self.platform
        return self._once(
            "rollout", endpoint, lambda: Rollout(p.endpoints, p.tracking, p.items, spec, system=self.spec.name)
        )

    def capture(self, endpoint: str) -> Capture:
        """Moves what was captured of an endpoint to landing objects."""
        from mlplatform.platform.captures import capture_of

        spec, p = self.spec.get(EndpointSpec, endpoint), self.platform
        return self._once("capture", endpoint, lambda: capture_of(p, self.spec.name, spec))

    def capture_ingest(self, endpoint: str) -> Ingest:
        """Loads an endpoint's captured predictions into their table."""
        from mlplatform.stations.capture import capture_table

        spec, model, _, _ = self.endpoint_parts(endpoint)
        table = capture_table(spec, system=self.spec.name, regression=model.task == "regression")
        return self._once("capture_ingest", endpoint, lambda: self._ingest(table))

    def data_tests(self, features: str) -> DataTests:
        """A feature set's expectations."""
        from mlplatform.stations.data_tests import DataTests

        spec, p = self.spec.get(FeatureSetSpec, features), self.platform
        return self._once(
            "data_tests",
            features,
            lambda: DataTests(p.expectations, spec, system=self.spec.name, personal=self.spec.personal(spec)),
        )

    def notifies(self) -> list[Notify]:
        """One for each `mlplatform.Notify` of the system."""
        from mlplatform.stations.notify import Notify

        return [
            Notify(self._notifications(spec.connection), spec, system=self.spec.name)
            for spec in self.spec.all(NotifySpec)
        ]

    def _notifications(self, connection: str) -> Notifications:
        p = self.platform
        found = p.profile.connection(connection, port="notifications", system=self.spec.name)
        return self._once(
            "notifications", connection, lambda: connections.notifications(found, p.home, p.items, p.secrets)
        )

    def features(self, name: str) -> Features:
        """Unloads a feature set's rows."""
        from mlplatform.stations.features import Features

        spec, store = self.spec.get(FeatureSetSpec, name), self.platform.store
        table, sql = self.spec.get(TableSpec, spec.table), self.spec.query(spec)
        warehouse = self.warehouse(table.connection)
        return self._once(
            "features",
            name,
            lambda: Features(warehouse, store, spec, table, system=self.spec.name, query_sql=sql),
        )

    def training(self, model: str) -> Training:
        """Trains candidates of a model."""
        from mlplatform.stations.training import Training

        spec, p = self.spec.get(ModelSpec, model), self.platform
        features = self.spec.get(FeatureSetSpec, spec.features)
        return self._once(
            "training",
            model,
            lambda: Training(
                p.compute,
                p.tracking,
                p.store,
                spec,
                features,
                system=self.spec.name,
                personal=self.spec.personal(features),
                source=self._source(features),
            ),
        )

    def _source(self, features: FeatureSetSpec) -> WarehouseSource | None:
        """Where a job pulls the rows from, where nothing is unloaded."""
        if features.channel == "files":
            return None
        p, name = self.platform, self.spec.get(TableSpec, features.table).connection
        found = p.profile.connection(name, port="warehouse", system=self.spec.name)
        secrets = p.profile.connection("secrets", port="secrets")
        return source_of(found, secrets, p.home, self.spec.name, masked=self.spec.is_personal)

    def gate(self, model: str) -> Gate:
        """Judges candidates of a model."""
        from mlplatform.stations.gate import Gate

        spec, p = self.spec.get(ModelSpec, model), self.platform
        return self._once(
            "gate",
            model,
            lambda: Gate(
                p.tracking,
                p.runtimes,
                p.store,
                p.items,
                p.endpoints,
                spec,
                system=self.spec.name,
                endpoint=self.endpoint_of(model),
                warehouse=lambda: self.warehouse_of(model),
            ),
        )

    def warehouse_of(self, model: str) -> Warehouse:
        """The warehouse that the rows of a model's feature set lie in."""
        features = self.spec.get(FeatureSetSpec, self.spec.get(ModelSpec, model).features)
        return self.warehouse(self.spec.get(TableSpec, features.table).connection)

    def registry(self, model: str) -> Registry:
        """Versions of a model."""
        from mlplatform.stations.registry import Registry

        spec, p = self.spec.get(ModelSpec, model), self.platform
        return self._once(
            "registry",
            model,
            lambda: Registry(
                p.tracking, p.items, p.endpoints, spec, system=self.spec.name, endpoint=self.endpoint_of(model)
            ),
        )

    def endpoint_of(self, model: str) -> str | None:
        """The first endpoint that serves the model, as ``<system>/<endpoint>``; None for a model of batches."""
        names = [e.name for e in self.spec.all(EndpointSpec) if e.model == model]
        return f"{self.spec.name}/{names[0]}" if names else None

    def model_spec(self, model: str) -> ModelSpec:
        """A model's spec."""
        return self.spec.get(ModelSpec, model)

    def lineage(self) -> Lineage:
        """Traces predictions."""
        from mlplatform.stations.lineage import Lineage

        p = self.platform
        return Lineage(p.endpoints, p.tracking, p.store, p.items, system=self.spec.name, warehouse=self.warehouse())

    def maintenance(self, connection: str) -> Maintenance:
        """Upkeep of a warehouse."""
        from mlplatform.stations.maintenance import Maintenance

        return self._once(
            "maintenance", connection, lambda: Maintenance(self.warehouse(connection), pinned=self.pinned_versions)
        )

    def pinned_versions(self) -> list[str]:
        """Engine snapshot versions that a registered model was trained on, and those of builds that are kept."""
        from mlplatform.stations.pinned import built

        found = self.pinned()
        for broken in found.broken:
            log.warning("upkeep keeps what can be told of a package that cannot be read: %s", broken)
        versions = set(found.engine_versions)
        for features in self.spec.all(FeatureSetSpec):
            versions |= set(built(self.platform.store, system=self.spec.name, feature_set=features.name))
        return sorted(versions)

    def pinned(self) -> Pinned:
        """What registered models of this system were trained on."""
        from mlplatform.stations.pinned import pinned

        names = [f"{self.spec.name}.{spec.name}" for spec in self.spec.all(ModelSpec)]
        return pinned(self.platform.tracking, self.platform.store, system=self.spec.name, models=names)
