"""Where a refresh's time went, read from what the platform writes down: ledger, requests, Dagster's events, deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterInstance

CAUSES = {
    "load": "the file lies there, to its rows in the table (worker)",
    "judge": "rows, to the monitor's request for a training (worker)",
    "sensor": "request, to the run that answers it (Dagster's sensor)",
    "queue": "run made, to the start of its process (Dagster's queue)",
    "process": "process started, to the run's beginning (imports, definitions)",
    "features": "step: feature rows unloaded and tested",
    "training": "step: job, candidate staged, gate",
    "register": "step: version registered",
    "deploy": "step: deployed, every gateway worker answers",
    "between": "between the steps",
}
"""Parts of a refresh, in order; they add up to the whole."""


def run_times(instance: DagsterInstance, run_id: str) -> dict[str, float]:
    """Times of a run: ``enqueued``, ``starting``, ``started``, and ``<step> start`` and ``<step> end`` of each step."""
    found: dict[str, float] = {}
    names = {
        "PIPELINE_ENQUEUED": "enqueued",
        "PIPELINE_STARTING": "starting",
        "PIPELINE_START": "started",
    }
    for entry in instance.all_logs(run_id):
        event = entry.dagster_event
        if event is None:
            continue
        kind = event.event_type_value
        if kind in names:
            found.setdefault(names[kind], entry.timestamp)
        elif kind in ("STEP_START", "STEP_SUCCESS") and event.step_key:
            found[f"{event.step_key.rpartition('__')[2]} {'start' if kind == 'STEP_START' else 'end'}"] = (
                entry.timestamp
            )
    return found


def causes(*, put: float, loaded: float, requested: float, run: Mapping[str, float], live: float) -> dict[str, float]:
    """Seconds by cause (see `CAUSES`), and their sum as ``whole``. All times are seconds since the epoch."""
    steps = {
        "features": "bench_features",
        "training": "bench_model_candidate",
        "register": "bench_model",
        "deploy": "bench_endpoint",
    }
    found = {
        "load": loaded - put,
        "judge": requested - loaded,
        "sensor": run["enqueued"] - requested,
        "queue": run["starting"] - run["enqueued"],
        "process": run["started"] - run["starting"],
    }
    for cause, step in steps.items():
        found[cause] = run[f"{step} end"] - run[f"{step} start"]
    # Workers answer with the new generation before the step that waits for them ends.
    found["deploy"] = min(live, run["bench_endpoint end"]) - run["bench_endpoint start"]
    whole = live - put
    found["between"] = whole - sum(found.values())
    return {**found, "whole": whole}
