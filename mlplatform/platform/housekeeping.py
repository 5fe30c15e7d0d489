"""Housekeeping: what a worker does for a system from time to time, so that nothing grows without bound."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.retention import expire_unloads

if TYPE_CHECKING:
    from mlplatform.platform.system import SystemStations


def housekeeping(stations: SystemStations, now: datetime) -> None:
    """Retention of streams, tables, captures and unloads, the champion's alias, upkeep of warehouses where it is due."""
    for stream in stations.spec.all(StreamSpec):
        stations.stream(stream.name).trim(now=now)
    for table in stations.spec.all(TableSpec):
        if not table.existing:
            stations.ingest(table.name).expire(now=now)
    for endpoint in stations.spec.all(EndpointSpec):
        stations.capture(endpoint.name).expire(now=now)
        stations.capture_ingest(endpoint.name).expire(now=now)
        stations.rollout(endpoint.name).reconcile()
    pinned = [str(snapshot["manifest"]) for snapshot in stations.pinned_snapshots()]
    expire_unloads(stations.platform.store, system=stations.spec.name, pinned=pinned, now=now)
    for connection in stations.connections():
        maintenance = stations.maintenance(connection)
        if maintenance.due(now):
            maintenance.run(now)
