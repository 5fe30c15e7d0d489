"""The evaluation of a candidate in a container of the user's own, as the line does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlplatform.platform.system import SystemStations
    from mlplatform.ports.tracking import Candidate
    from mlplatform.stations.feature_snapshot import FeatureSnapshot


def require_evaluation(stations: SystemStations, model: str) -> None:
    """Make sure, before anything is trained, that the container of the model's evaluation is there. Raises NotFoundError."""
    evaluation = stations.model_spec(model).evaluation
    if evaluation is not None:
        stations.platform.compute.container_digest(evaluation.container)


def evaluate_candidate(
    stations: SystemStations,
    model: str,
    candidate: Candidate,
    snapshot: FeatureSnapshot,
    *,
    on_log: Callable[[str], None],
) -> dict[str, Any]:
    """Metadata of the model's evaluation; nothing where its YAML asks for none. Raises JobError where the container refuses."""
    spec, platform = stations.model_spec(model), stations.platform
    if spec.evaluation is None:
        return {}
    from mlplatform.stations.candidate_evaluation import CandidateEvaluation

    station = CandidateEvaluation(
        platform.compute,
        platform.tracking,
        platform.endpoints,
        platform.store,
        spec,
        spec.evaluation,
        system=stations.spec.name,
        endpoint=stations.endpoint_of(model),
    )
    done = station.evaluate(candidate, snapshot, on_log=on_log)
    return {
        "evaluation_job": done.job,
        "evaluation_reports": done.prefix,
        **({} if done.billable_s is None else {"evaluation_billable_s": done.billable_s}),
        **{f"evaluation_{name}": value for name, value in done.metrics.items()},
    }
