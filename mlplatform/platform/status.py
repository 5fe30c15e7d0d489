"""How an installation is, read from what its processes leave behind; nothing is asked of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlplatform.errors import PlatformError
from mlplatform.platform.costs import prices_of, with_endpoint_cost, with_job_cost
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.refresh import RefreshSpec
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.approvals import waiting_of

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform
    from mlplatform.platform.system import SystemStations
    from mlplatform.ports.endpoints import EndpointState


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
    endpoints = [with_endpoint_cost(row, prices, now) for s in stations for row in _endpoints(s)]
    requests = [
        {"request": r.id, "status": r.status, "reason": r.reason, "run": r.run_id}
        for s in stations
        for retrain in s.retrains()
        for r in retrain.requests()
        if r.open
    ]
    troubles += [
        f"endpoint {e['endpoint']}: {e['message']}"
        for e in endpoints
        if e["status"] == "Unknown" or (e["status"] == "Failed" and e["version"])
    ]
    jobs: list[dict[str, Any]] = []
    try:
        jobs = [with_job_cost(asdict(job), prices, now) for job in platform.compute.running()]
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


def _endpoints(stations: SystemStations) -> Iterator[dict[str, Any]]:
    for spec in stations.spec.all(EndpointSpec):
        name = f"{stations.spec.name}/{spec.name}"
        try:
            state = stations.platform.endpoints.state(name)
        except PlatformError as error:
            yield {
                "endpoint": name,
                "status": "Unknown",
                "generation": 0,
                "version": None,
                "workers": 0,
                "machine": "",
                "message": str(error),
            }
            continue
        yield {
            "endpoint": state.endpoint,
            "status": state.status if state.desired else "NoModel",
            "generation": state.live_generation,
            "version": state.desired.version if state.desired else None,
            "workers": state.workers,
            "machine": state.machine,
            "message": _why_none(stations, spec.name) if state.desired is None else _said(stations, state),
        }


def _said(stations: SystemStations, state: EndpointState) -> str:
    """What the endpoint's state says, and which versions wait for people."""
    waiting = ", ".join(map(str, waiting_of(stations.platform.items, state.endpoint)))
    return "; ".join(filter(None, [state.message, f"waits for approval: version {waiting}" if waiting else ""]))


def _why_none(stations: SystemStations, endpoint: str) -> str:
    """Why there is no deployment yet: what it waits for, or how the last training asked for stands or ended."""
    requests = stations.retrain(endpoint).requests()
    if not requests:
        refresh = next((r for r in stations.spec.all(RefreshSpec) if r.endpoint == endpoint and r.first), None)
        waits = f"; the first training starts by itself with {refresh.first_rows} rows" if refresh else ""
        return f"no model yet{waits}"
    last = requests[-1]
    if last.open:
        return f"first training is {last.status} since {last.requested_at.isoformat(timespec='seconds')}"
    return f"first training ended without a model: {last.message or last.status}"
