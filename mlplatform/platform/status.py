"""How an installation is, read from what its processes leave behind; nothing is asked of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlplatform.errors import PlatformError
from mlplatform.platform.costs import prices_of, with_endpoint_cost, with_job_cost
from mlplatform.platform.endpoint_status import endpoint_rows
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform
    from mlplatform.platform.system import SystemStations


@dataclass(frozen=True)
class Status:
    """Rows to show, and whether all is well."""

    healthy: bool
    programs: list[dict[str, Any]]
    streams: list[dict[str, Any]]
    tables: list[dict[str, Any]]
    endpoints: list[dict[str, Any]]
    jobs: list[dict[str, Any]]
    requests: list[dict[str, Any]]
    troubles: list[str]


def platform_status(platform: Platform, *, programs: list[dict[str, Any]], now: datetime) -> Status:
    """Lag of each stream (s), tables with what waits, endpoints and jobs with what they occupy, open requests, and troubles in
    words.

    Args:
        programs: what the supervisor keeps running: name, state, log of each; empty where none runs.
    """
    troubles = [f"{p['name']} is {p['state']}; see {p['log']}" for p in programs if p["state"] != "ready"]
    if not programs:
        troubles.append("nothing runs; start it: mlplatform serve")
    worker = platform.items.get("workers", "worker")
    troubles += [f"{name}: {error}" for name, error in (worker.value["troubles"] if worker else {}).items()]
    stations = [platform.system(name) for name in platform.specs]
    streams = [row for s in stations for row in _streams(s, now)]
    tables = [row for s in stations for row in _tables(s)]
    troubles += [f"table {t['table']}: {t['message']}" for t in tables if t["message"]]
    try:
        prices = prices_of(platform)
    except PlatformError as error:
        prices = None
        troubles.append(str(error))
    rows, wrong = endpoint_rows(platform)
    endpoints = [with_endpoint_cost(row, prices, now) for row in rows]
    troubles += wrong
    requests = [
        {"request": r.id, "status": r.status, "reason": r.reason, "run": r.run_id}
        for s in stations
        for retrain in s.retrains()
        for r in retrain.requests()
        if r.open
    ]
    jobs: list[dict[str, Any]] = []
    try:
        running = platform.compute.running(on_unseen=lambda said: troubles.append(f"jobs: {said}"))
        jobs = [with_job_cost(asdict(job), prices, now) for job in running]
    except PlatformError as error:
        troubles.append(f"jobs: {error}")
    return Status(not troubles, programs, streams, tables, endpoints, jobs, requests, troubles)


def _streams(stations: SystemStations, now: datetime) -> Iterator[dict[str, Any]]:
    for spec in stations.spec.all(StreamSpec):
        pending = stations.delivery(spec.name).pending()
        yield {
            "stream": f"{stations.spec.name}/{spec.name}",
            "shards": len(pending),
            "lag_s": round(max((p.lag_s(now) for p in pending), default=0.0), 1),
        }


def _tables(stations: SystemStations) -> Iterator[dict[str, Any]]:
    for spec in stations.spec.all(TableSpec):
        if spec.existing:
            continue
        row: dict[str, Any] = {"table": f"{stations.spec.name}/{spec.name}"}
        try:
            found = stations.ingest(spec.name).status()
        except PlatformError as error:
            yield {**row, "loaded": None, "due": None, "in_quarantine": None, "message": str(error)}
        else:
            yield {
                **row,
                "loaded": found.loaded,
                "due": found.due,
                "in_quarantine": found.waiting_in_quarantine,
                "message": "",
            }
