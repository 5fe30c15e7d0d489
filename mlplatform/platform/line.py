"""Steps of the line that take several stations: what an asset, the worker or a command does in one go."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlplatform.core.sql import identifier
from mlplatform.errors import NotFoundError
from mlplatform.platform.approvals import cleared, went_live
from mlplatform.platform.code_version import code_version
from mlplatform.platform.costs import paid_for
from mlplatform.platform.evaluations import evaluate_candidate, require_evaluation
from mlplatform.platform.refusals import keep_tested, refused, require_tested, was_refused
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.ports.endpoints import SelfServing
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.spec.refresh import RefreshSpec
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    from mlplatform.core.loads.plan import Receipt
    from mlplatform.platform.system import SystemStations
    from mlplatform.ports.tracking import Candidate, ModelVersion
    from mlplatform.stations.evaluation import Evaluation
    from mlplatform.stations.ingest import Evidence

CANDIDATES, LATEST = "run_candidates", "latest"
"""Which candidate a run trained, and the newest: items under ``<system>/<model>/<run id, or latest>``."""

LIVE_S = 120.0
"""Workers have so long to answer with a new generation."""


@dataclass(frozen=True)
class Step:
    """What a step did, for the asset's page."""

    metadata: dict[str, Any]
    checks: tuple[CheckOutcome, ...] = ()


def build_features(
    stations: SystemStations, name: str, *, parameters: dict[str, Any], run_id: str, request: str | None
) -> Step:
    """Take the request this run answers, unload the rows, test them."""
    if request:
        _take(stations, request, run_id)
    features = stations.features(name)
    snapshot = features.build(datetime.now(UTC), parameters, run_id=run_id)
    tests = stations.data_tests(name)
    rows = features.read(snapshot, "train", tests.columns())
    check = tests.check(rows, run=run_id or snapshot.built_at)
    keep_tested(stations, snapshot, check)
    if not check.passed:
        refused(stations, run_id)
        if request:
            retrain_of(stations, request).finished(request, "done", message=f"data tests failed: {check.description}")
        for notify in stations.notifies():
            notify.data_tests_failed(name, snapshot.ref.id, check.description, run_id=run_id)
    return Step({"dagster/row_count": snapshot.ref.rows, **snapshot.summary()}, (check,))


def _take(stations: SystemStations, request: str, run_id: str) -> None:
    """Take a request for the line that run `run_id` began, unless it had it and a person runs it once more."""
    retrain = retrain_of(stations, request)
    if not any(r.id == request and r.run_id == run_id and not r.open for r in retrain.requests()):
        retrain.launched(request, run_id)


def train_candidate(
    stations: SystemStations, model: str, *, run_id: str, request: str | None, on_log: Callable[[str], None]
) -> Step:
    """Train on the run's (else the newest) rows, stage, judge; a failed gate is told, and answers the request.

    Raises:
        GateError: the rows did not pass their data tests.
        StateError: the champion, beside which it is judged, cannot be read; nothing is trained.
    """
    training = stations.training(model)
    snapshot = stations.features(stations.model_spec(model).features).latest(run_id=run_id)
    require_tested(stations, snapshot)
    stations.gate(model).require_champion()
    require_evaluation(stations, model)
    trained = training.train(snapshot, run_id=run_id, code_version=code_version(), on_log=on_log)
    evaluated = evaluate_candidate(stations, model, trained.candidate, snapshot, on_log=on_log)
    verdict = stations.gate(model).judge(trained.candidate, snapshot)
    candidate = {"digest": trained.candidate.digest, "job": trained.job, "run_id": run_id, "snapshot": snapshot.ref.id}
    for name in {run_id or LATEST, LATEST}:
        stations.platform.items.put(CANDIDATES, f"{stations.spec.name}/{model}/{name}", candidate)
    if not verdict.passed:
        refused(stations, run_id)
        if request:
            retrain_of(stations, request).finished(request, "done", message=verdict.reason)
        for notify in stations.notifies():
            notify.gate_failed(training.name, trained.candidate.digest, verdict.reason, run_id=run_id)
    _link_back(stations, trained.candidate)
    metadata = {
        "digest": trained.candidate.digest,
        "training_job": trained.job,
        "mlflow_run": trained.candidate.run_id,
        "mlflow": trained.candidate.run_url,
        "snapshot": snapshot.ref.id,
        **({"peak_memory_mib": round(trained.peak_memory_mib, 1)} if trained.peak_memory_mib else {}),
        **paid_for(stations.platform, trained.job, trained.billable_s, now=datetime.now(UTC)),
        **trained.metrics,
        **evaluated,
    }
    if trained.leaderboard:
        metadata["leaderboard"] = trained.leaderboard
    if len(trained.trials) > 1:
        metadata["trials"] = trained.trials
    return Step(metadata, (verdict.check(),))


def _link_back(stations: SystemStations, candidate: Candidate) -> None:
    """Let the tracker's page of a run lead to Dagster's."""
    run_id = candidate.tags.get("dagster_run_id")
    if run_id:
        ui = stations.platform.profile.addresses
        url = f"http://{ui.host}:{ui.ui_port}/runs/{run_id}"
        stations.platform.tracking.annotate(candidate.model, candidate.digest, tags={"dagster_run_url": url})


def register_candidate(stations: SystemStations, model: str, *, run_id: str, request: str | None = None) -> Step:
    """Register what this run trained (else the newest candidate); refused without a passing verdict.

    Where no endpoint serves the model, its line ends here: the request is closed, and people are told.
    """
    items, prefix = stations.platform.items, f"{stations.spec.name}/{model}/"
    found = items.get(CANDIDATES, prefix + run_id) or items.get(CANDIDATES, prefix + LATEST)
    if found is None:
        raise NotFoundError(
            f"Model '{stations.spec.name}.{model}' has no candidate.",
            next_step=f"Materialize {stations.spec.name}/{model}_candidate first.",
        )
    made = stations.registry(model).register(found.value["digest"])
    said: dict[str, Any] = {}
    if stations.endpoint_of(model) is None:
        champion, said = cleared(stations, model, made)
        if request:
            message = said.get("approval", f"version {made.version}")
            retrain_of(stations, request).finished(request, "done", message=message)
        if champion is not None:
            if champion.version != made.version:
                stations.registry(model).appoint(champion.version)
            went_live(stations, model, champion)
            for notify in stations.notifies():
                notify.registered(champion)
    return Step({"version": made.version, "digest": made.digest, "mlflow_run": made.run_id, **said, **made.metrics})


def release(stations: SystemStations, endpoint: str, *, run_id: str, request: str | None) -> Step:
    """Deploy what this run registered, wait until every worker answers with it, close the request, tell people.

    Where people approve versions, one that they have not approved stays where it is, and an earlier one that they have by now
    is deployed in its place.
    """
    rollout = stations.rollout(endpoint)
    wanted = _to_serve(stations, endpoint, rollout.model, run_id)
    newest, said = cleared(stations, endpoint, wanted)
    if newest is None:
        return _held(stations, endpoint, wanted, said, request)
    reason = f"refresh, asked for by {request}" if request else "refresh"
    deployment = rollout.deploy(newest.version, reason, run_id)
    endpoints = stations.platform.endpoints
    state = endpoints.state(rollout.name)
    if isinstance(endpoints, SelfServing):
        state = endpoints.wait(rollout.name, deployment.generation, timeout_s=endpoints.live_s)
    elif state.workers:
        state = endpoints.wait(rollout.name, deployment.generation, timeout_s=LIVE_S)
    went_live(stations, endpoint, newest)
    if request:
        message = said.get("approval", f"generation {deployment.generation}")
        retrain_of(stations, request).finished(request, "done", message=message)
    for notify in stations.notifies():
        notify.deployed(deployment, metrics=newest.metrics)
    gateway = stations.platform.profile.addresses
    return Step(
        {
            "generation": deployment.generation,
            "version": newest.version,
            "digest": newest.digest,
            "route": f"/predict/{endpoint}",
            "api_docs": f"http://{gateway.host}:{gateway.gateway_port}/schema",
            "live_generation": state.live_generation,
            "workers": state.workers,
            "status": state.status if state.workers else "nobody serves; it is taken up when 'mlplatform serve' starts",
            **said,
            **newest.metrics,
        }
    )


def _held(
    stations: SystemStations, endpoint: str, wanted: ModelVersion, said: dict[str, Any], request: str | None
) -> Step:
    """Nothing was deployed: what serves goes on, and the request is answered."""
    if request:
        retrain_of(stations, request).finished(request, "done", message=said["approval"])
    state = stations.platform.endpoints.state(stations.rollout(endpoint).name)
    return Step(
        {
            "version": wanted.version,
            "digest": wanted.digest,
            **said,
            "live_generation": state.live_generation,
            "status": "not deployed; what serves goes on serving",
        }
    )


def _to_serve(stations: SystemStations, endpoint: str, model: str, run_id: str) -> ModelVersion:
    """The version this run registered; without one, the newest, unless it served before and something else does now.

    So a refresh deploys its own model, and an endpoint materialized by hand does not undo a person's rollback.
    """
    versions = stations.platform.tracking.versions(model)
    if not versions:
        raise NotFoundError(f"Model '{model}' has no registered version.", next_step="Materialize the model first.")
    spec = stations.endpoint_parts(endpoint)[1]
    trained = stations.platform.items.get(CANDIDATES, f"{stations.spec.name}/{spec.name}/{run_id}")
    if trained is not None:
        for version in versions:
            if version.digest == trained.value["digest"]:
                return version
    history = stations.platform.endpoints.history(f"{stations.spec.name}/{endpoint}")
    if history and versions[-1].version in {d.version for d in history}:
        return next(v for v in versions if v.version == history[-1].version)
    return versions[-1]


def load_evidence(stations: SystemStations, table: str, receipts: Sequence[Receipt]) -> Evidence:
    """What some loads came to, with the rows that the table has now."""
    spec = stations.spec.get(TableSpec, table)
    name = identifier(spec.schema_().name)
    counted = stations.warehouse(spec.connection).query(f"SELECT count(*) AS n FROM {name}")  # noqa: S608
    evidence = stations.ingest(table).evidence(receipts)
    return replace(evidence, metadata={"dagster/row_count": int(counted.column("n")[0].as_py()), **evidence.metadata})


def load_capture(stations: SystemStations, endpoint: str, *, for_s: float = math.inf) -> Evidence:
    """Move what the endpoint's workers spooled into its table, as much as is loaded in `for_s` seconds."""
    drained = stations.capture(endpoint).drain()
    ingest = stations.capture_ingest(endpoint)
    evidence = ingest.evidence(ingest.run(for_s=for_s))
    return type(evidence)({**evidence.metadata, "requests": drained.requests, "gap": drained.gap}, evidence.checks)


def judge_windows(stations: SystemStations, monitor: str, now: datetime) -> list[Evaluation]:
    """Judge the windows that are due, and ask for a retraining where one is due; what was judged is told by `tell_judged`."""
    evaluations = stations.monitor(monitor).run(now)
    spec = stations.spec.get(MonitorSpec, monitor)
    if spec.retrain is not None:
        stations.retrain(spec.endpoint).decide(now)
    return evaluations


def tell_judged(stations: SystemStations, monitor: str, report: Callable[[Evaluation], None]) -> None:
    """Tell people and `report` of every evaluation that was not told yet; one that a killed process judged is among them."""
    station = stations.monitor(monitor)
    for evaluation in station.untold():
        for notify in stations.notifies():
            notify.evaluated(evaluation)
        report(evaluation)
        station.told(evaluation)


def pending_requests(stations: SystemStations, refresh: str, now: datetime) -> list[Any]:
    """Requests that no run has taken; makes that of the first training when its time has come."""
    retrain = stations.retrain(stations.spec.get(RefreshSpec, refresh).station)
    retrain.decide(now)
    return list(retrain.pending())


def run_failed(stations: SystemStations, run_id: str, *, message: str) -> None:
    """Tell people of a failed run, unless they were told by the check that stopped it."""
    if was_refused(stations, run_id):
        return
    for notify in stations.notifies():
        notify.run_failed(run_id, message)


def close_request(stations: SystemStations, request: str, *, message: str) -> None:
    """Note that a request ended without a model."""
    retrain_of(stations, request).finished(request, "failed", message=message)


def retrain_of(stations: SystemStations, request: str) -> Any:
    """The station that made a request; its id is ``<system>/<endpoint or model>/<number>``. Raises NotFoundError."""
    system, _, rest = request.partition("/")
    station = rest.rpartition("/")[0]
    if system != stations.spec.name or not station:
        raise NotFoundError(f"'{request}' is no request of system '{stations.spec.name}'.")
    return stations.retrain(station)
