"""Where people approve versions before they go live: what a run does about it, and which run a sensor is to start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.stations.approvals import Approvals

if TYPE_CHECKING:
    from mlplatform.platform.system import SystemStations
    from mlplatform.ports.tracking import ModelVersion


def approvals_of(stations: SystemStations, name: str) -> Approvals:
    """Of an endpoint's model, or of a model that none serves."""
    served = next((e.model for e in stations.spec.all(EndpointSpec) if e.name == name), name)
    own, p = stations.spec.name, stations.platform
    return Approvals(p.tracking, p.items, name=f"{own}/{name}", model=f"{own}.{served}")


def live_version(stations: SystemStations, name: str) -> ModelVersion | None:
    """What an endpoint serves, or the champion of a model that none serves."""
    served = next((e.model for e in stations.spec.all(EndpointSpec) if e.name == name), name)
    return stations.registry(served).champion()


def cleared(stations: SystemStations, name: str, wanted: ModelVersion) -> tuple[ModelVersion | None, dict[str, Any]]:
    """The version that may go live now, or None; and what there is to say of the wanted one. People are told of one that waits."""
    chosen = approvals_of(stations, name).choose(wanted, live=live_version(stations, name))
    if chosen.version is not None and chosen.version.digest == wanted.digest:
        return chosen.version, {}
    approval = chosen.wanted
    if approval.status == "pending":
        for notify in stations.notifies():
            notify.approval_awaited(wanted, approval.how)
        said = {"approval": f"version {wanted.version} waits for approval", "approve": approval.how}
    else:
        why = f": {approval.said}" if approval.said else ""
        said = {"approval": f"version {wanted.version} was rejected{why}"}
    return chosen.version, said


def went_live(stations: SystemStations, name: str, version: ModelVersion) -> None:
    """Nothing waits that the version, or a later one, is live in place of."""
    approvals_of(stations, name).done(version.version)


def approved_since(stations: SystemStations, name: str) -> ModelVersion | None:
    """The version that waited and is approved by now; asks nobody where none waits."""
    approvals = approvals_of(stations, name)
    return approvals.due(live=live_version(stations, name)) if approvals.waiting() else None
