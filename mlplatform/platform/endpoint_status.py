"""Endpoints as the status shows them: those of the YAML, and those that are deployed though no YAML has them any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlplatform.errors import PlatformError
from mlplatform.platform.stray_endpoints import how_to_end, stray_endpoints
from mlplatform.ports.endpoints import SelfServing
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.refresh import RefreshSpec
from mlplatform.stations.approvals import waiting_of

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform
    from mlplatform.platform.system import SystemStations
    from mlplatform.ports.endpoints import EndpointState

STRAY = "not in the YAML"
"""What the message of such an endpoint begins with."""


def endpoint_rows(platform: Platform) -> tuple[list[dict[str, Any]], list[str]]:
    """A row of each endpoint, and troubles in words."""
    rows: list[dict[str, Any]] = []
    troubles: list[str] = []
    for stations in map(platform.system, platform.specs):
        for spec in stations.spec.all(EndpointSpec):
            row = _row(platform, f"{stations.spec.name}/{spec.name}", stations)
            rows.append(row)
            if row["status"] == "Unknown" or (row["status"] == "Failed" and row["version"]):
                troubles.append(f"endpoint {row['endpoint']}: {row['message']}")
    try:
        strays = stray_endpoints(platform)
    except PlatformError as error:
        return rows, [*troubles, f"endpoints: {error}"]
    for name in strays:
        row = _row(platform, name, None)
        rows.append({**row, "message": "; ".join(filter(None, [STRAY, row["message"]]))})
        paid = " and paid for" if isinstance(platform.endpoints, SelfServing) else ""
        troubles.append(
            f"endpoint {name} is not in the YAML, but still deployed{paid}; to end it: {how_to_end(platform, name)}"
        )
    return rows, troubles


def _row(platform: Platform, name: str, stations: SystemStations | None) -> dict[str, Any]:
    """`stations`: of its system, where the YAML has it."""
    try:
        state = platform.endpoints.state(name)
    except PlatformError as error:
        return {
            "endpoint": name,
            "status": "Unknown",
            "generation": 0,
            "version": None,
            "workers": 0,
            "machine": "",
            "message": str(error),
        }
    if state.desired is None and stations is not None:
        message = _why_none(stations, name.partition("/")[2])
    else:
        message = _said(platform, state)
    return {
        "endpoint": state.endpoint,
        "status": state.status if state.desired else "NoModel",
        "generation": state.live_generation,
        "version": state.desired.version if state.desired else None,
        "workers": state.workers,
        "machine": state.machine,
        "message": message,
    }


def _said(platform: Platform, state: EndpointState) -> str:
    """What the endpoint's state says, and which versions wait for people."""
    waiting = ", ".join(map(str, waiting_of(platform.items, state.endpoint)))
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
