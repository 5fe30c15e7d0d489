"""Refusals: what data tests and gates do not let through is told once, answers its request, and stays refused.

A failed check stops the run it is in, and no later one; so what a snapshot's data tests said is kept under its id
(items ``<system>/<feature set>/<snapshot>``), and asked for before anything is trained on it. A gate's verdict is kept by its own station.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlplatform.errors import GateError

if TYPE_CHECKING:
    from mlplatform.platform.system import SystemStations
    from mlplatform.ports.asset_events import CheckOutcome
    from mlplatform.stations.feature_snapshot import FeatureSnapshot

TESTED, REFUSED_RUNS = "data_tests", "refused_runs"


def keep_tested(stations: SystemStations, snapshot: FeatureSnapshot, outcome: CheckOutcome) -> None:
    """Remember what the data tests said of a snapshot."""
    said = {"passed": outcome.passed, "reason": outcome.description}
    stations.platform.items.put(TESTED, _key(snapshot), said)


def require_tested(stations: SystemStations, snapshot: FeatureSnapshot) -> None:
    """Raises GateError where a snapshot's data tests failed, or never ran to their end."""
    found = stations.platform.items.get(TESTED, _key(snapshot))
    what = f"Snapshot {snapshot.ref.id[:12]}… of feature set '{snapshot.system}.{snapshot.features}'"
    again = f"Materialize {snapshot.system}/{snapshot.features} again"
    if found is None:
        raise GateError(f"{what} was not tested: its run ended before.", next_step=f"{again}.")
    if not found.value["passed"]:
        raise GateError(
            f"{what} did not pass its data tests: {found.value['reason']}",
            next_step=f"Mend the data or the expectations. {again}.",
        )


def refused(stations: SystemStations, run_id: str) -> None:
    """Note that a run was stopped by a check that people were told of."""
    stations.platform.items.put(REFUSED_RUNS, f"{stations.spec.name}/{run_id}", {})


def was_refused(stations: SystemStations, run_id: str) -> bool:
    """Whether a run was stopped by a check that people were told of."""
    return stations.platform.items.get(REFUSED_RUNS, f"{stations.spec.name}/{run_id}") is not None


def _key(snapshot: FeatureSnapshot) -> str:
    return f"{snapshot.system}/{snapshot.features}/{snapshot.ref.id}"
