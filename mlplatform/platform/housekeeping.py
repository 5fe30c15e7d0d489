"""Housekeeping: what a worker does for a system from time to time, so that nothing grows without bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from mlplatform.errors import PlatformError, StateError
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.retention import expire_jobs, expire_scoring, expire_unloads

if TYPE_CHECKING:
    from mlplatform.platform.system import SystemStations


def housekeeping(stations: SystemStations, now: datetime) -> None:
    """Retention of streams, tables, captures, unloads and jobs, the champion's alias, upkeep of warehouses where it is due.

    Raises:
        PlatformError: the first that a step raised, after all others were done. Among them StateError: packages of models
            cannot be read; what they were trained on was kept, as far as it can be told.
    """
    failed: PlatformError | None = None
    for step in _steps(stations, now):
        try:
            step()
        except PlatformError as error:
            failed = failed or error
    if failed is not None:
        raise failed


def upkeep(stations: SystemStations, connection: str, now: datetime, *, believed: bool = True) -> bool:
    """Upkeep of one of the system's warehouses where it is due; whether it was. Where `now` is not believed, it only merges.

    Cheap to ask, and to be asked often: a stream of two shards that is delivered each second leaves 7,200 files an hour.
    """
    maintenance = stations.maintenance(connection)
    if not maintenance.due(now, believed=believed):
        return False
    maintenance.run(now, believed=believed)
    return True


def _steps(stations: SystemStations, now: datetime) -> Iterator[Callable[[], object]]:
    for stream in stations.spec.all(StreamSpec):
        yield partial(_trim, stations, stream.name, now)
    for table in stations.spec.all(TableSpec):
        if not table.existing:
            yield partial(_expire_rows, stations, table.name, now)
    for endpoint in stations.spec.all(EndpointSpec):
        yield partial(_expire_capture, stations, endpoint.name, now)
        yield partial(_reconcile, stations, endpoint.name)
    yield partial(_expire_unloads, stations, now)
    yield partial(_expire_jobs, stations, now)
    for connection in stations.connections():
        yield partial(upkeep, stations, connection, now)


def _trim(stations: SystemStations, stream: str, now: datetime) -> None:
    delivered = {waiting.shard: waiting.last for waiting in stations.delivery(stream).pending()}
    stations.stream(stream).trim(now=now, delivered=delivered)


def _expire_rows(stations: SystemStations, table: str, now: datetime) -> None:
    stations.ingest(table).expire(now=now)


def _expire_capture(stations: SystemStations, endpoint: str, now: datetime) -> None:
    stations.capture(endpoint).expire(now=now)
    stations.capture_ingest(endpoint).expire(now=now)


def _reconcile(stations: SystemStations, endpoint: str) -> None:
    stations.rollout(endpoint).reconcile()


def _expire_jobs(stations: SystemStations, now: datetime) -> None:
    # By the tracker's word, which is there where a package is lost.
    versions = [v for m in stations.spec.all(ModelSpec) for v in stations.registry(m.name).versions()]
    pinned = {v.tags.get("training_job", "") for v in versions}
    platform = stations.platform
    expire_jobs(platform.compute, platform.store, system=stations.spec.name, pinned=pinned, now=now)
    expire_scoring(platform.store, system=stations.spec.name, now=now)


def _expire_unloads(stations: SystemStations, now: datetime) -> None:
    pinned = stations.pinned()
    expire_unloads(stations.platform.store, system=stations.spec.name, pinned=pinned.manifests, now=now)
    if pinned.broken:
        raise StateError(
            f"Model packages cannot be read: {'; '.join(pinned.broken)}. Their rows are kept.",
            next_step="Restore them from a backup (mlplatform state check names the files).",
        )
