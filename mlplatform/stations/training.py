"""Training: a job in its container, and its package staged as a candidate.

A job is named by what goes into it: rows, plan, hyperparameters, code, hosts, and the container's content. The same inputs
again join the running job or take the finished one's package; after a failure the next attempt has a name of its own, and
begins with the checkpoints that the one before it left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlplatform.core.packages.manifest import InputField, Manifest, read_package
from mlplatform.core.training.plan import FILE, Search, SearchRange, TrainingPlan
from mlplatform.core.training.split import CHANNELS
from mlplatform.errors import JobError
from mlplatform.ports.compute import MAX_SEARCH_NAME, Channel, Compute, JobResult, JobSearch, JobSpec
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.tracking import Candidate, TrackedRun, Tracking
from mlplatform.spec.feature_set import TERMS, FeatureSetSpec
from mlplatform.spec.model import HIGHER_IS_BETTER, ModelSpec, SearchSpec
from mlplatform.stations.feature_snapshot import FeatureSnapshot
from mlplatform.stations.job_names import LONGEST_BASE, attempt_name, job_base

EVALUATION = "evaluation.json"
CHECKPOINTS = "checkpoints"
WAREHOUSE = "warehouse.json"
"""Beside the plan: how a job opens the warehouse that it pulls its rows from. Secrets are named in it, never written."""


@dataclass(frozen=True)
class WarehouseSource:
    """Where a job pulls its rows from: what it opens the warehouse with, and names of the secrets that it needs for that.

    `aws`: whether it also needs credentials of AWS.
    """

    document: dict[str, Any]
    secrets: tuple[str, ...] = ()
    aws: bool = False


@dataclass(frozen=True)
class Trained:
    """A staged candidate, the job it came from, and the metrics of both.

    `leaderboard`: the models that the job chose from, best first, where its container says so (`evaluation.json`).
    `billable_s`: seconds that are paid for, of all hosts together; None where nothing is.
    `trials`: what the search tried, each with its ``parameters`` and the metric; with its ``job`` where that was one of its own.
    """

    candidate: Candidate
    job: str
    metrics: dict[str, float]
    peak_memory_mib: float
    leaderboard: tuple[dict[str, Any], ...] = ()
    billable_s: int | None = None
    trials: tuple[dict[str, Any], ...] = ()


class Training:
    """Trains one model; `personal`: columns of the feature set whose values are told nowhere.

    `source`: the warehouse, where jobs pull the feature set's rows themselves.
    """

    def __init__(
        self,
        compute: Compute,
        tracking: Tracking,
        store: ObjectStore,
        model: ModelSpec,
        features: FeatureSetSpec,
        *,
        system: str,
        personal: frozenset[str] = frozenset(),
        source: WarehouseSource | None = None,
    ) -> None:
        self._source = source
        self._compute = compute
        self._tracking = tracking
        self._store = store
        self._model = model
        self._features = features
        self._system = system
        self._personal = personal
        self.name = f"{system}.{model.name}"

    def train(
        self,
        snapshot: FeatureSnapshot,
        *,
        run_id: str = "",
        code_version: str = "",
        on_log: Callable[[str], None] | None = None,
    ) -> Trained:
        """Train on `snapshot` and stage the candidate.

        Raises:
            JobError: the job failed; with the failure file's text and where its log is.
            TimedOutError: it ran longer than the model's limit.
        """
        container = f"{self._model.container}@{self._compute.container_digest(self._model.container)[:16]}"
        plan = self.plan(snapshot, f"{code_version} {container}".strip())
        job = self._job(snapshot, plan, run_id)
        with ThreadPoolExecutor(1) as beside:
            ready = beside.submit(self._tracking.prepare)
            result = self._compute.run(job, on_log=on_log)
            ready.result()
        for checkpoint in list(self._store.list(job.checkpoint_prefix)):
            self._store.delete(checkpoint.key)
        if result.model_dir is None:
            raise JobError(f"Job '{result.name}' completed and left no model.", next_step=f"See '{result.log_path}'.")
        manifest = read_package(result.model_dir)
        metrics = {**{name.replace(":", "_"): v for name, v in result.metrics.items()}, **manifest.metrics}
        candidate = self._tracking.stage(
            TrackedRun(
                experiment=self._system,
                name=result.name,
                parameters=manifest.parameters,
                metrics=metrics,
                tags={
                    "dagster_run_id": run_id,
                    "code_version": code_version,
                    "container": container,
                    "snapshot": snapshot.ref.id,
                    "training_job": result.name,
                    "trained_to": manifest.trained_to or "",
                    "runtime": manifest.runtime,
                },
                package=result.model_dir,
            ),
            model=self.name,
            digest=manifest.digest,
        )
        return Trained(
            candidate,
            result.name,
            metrics,
            result.peak_memory_mib,
            _told(result.model_dir, manifest, "leaderboard"),
            None if result.billable_s is None else result.billable_s * job.hosts,
            self._trials(job.search, result) or _told(result.model_dir, manifest, "trials"),
        )

    def _job(self, snapshot: FeatureSnapshot, plan: TrainingPlan, run_id: str) -> JobSpec:
        """The job that trains by `plan`, which is stored where it reads it."""
        hyperparameters = {name: str(value) for name, value in self._model.hyperparameters.items()}
        content = {**plan.to_json(), "snapshot": plan.snapshot["id"]}
        if self._compute.capabilities.shared:
            content["objects"] = self._store.url("")
        search = self._search()
        if search is not None:
            content["search"] = asdict(search)
        alone = self._model.hosts == 1
        key = _digest([content, hyperparameters] if alone else [content, hyperparameters, self._model.hosts])
        prefix = f"jobs/{self._system}/{self._model.name}/{key}/"
        self._store.put(f"{prefix}spec/{FILE}", json.dumps(plan.to_json(), sort_keys=True).encode())
        if self._source is not None:
            self._store.put(f"{prefix}spec/{WAREHOUSE}", json.dumps(self._source.document, sort_keys=True).encode())
        return JobSpec(
            name=self._job_name(key, searched=search is not None),
            container=self._model.container,
            hyperparameters=hyperparameters,
            channels=(
                *(Channel(channel, snapshot.channels[channel]) for channel in CHANNELS),
                Channel("spec", f"{prefix}spec/", "application/json"),
            ),
            output_prefix=prefix,
            timeout_s=self._model.limits.timeout_s,
            memory_mib=self._model.limits.memory_mib,
            hosts=self._model.hosts,
            secrets=self._source.secrets if self._source else (),
            aws=self._source is not None and self._source.aws,
            checkpoint_prefix=f"{prefix}{CHECKPOINTS}/",
            tags={"system": self._system, "model": self._model.name, "run_id": run_id},
            search=search,
        )

    def _search(self) -> JobSearch | None:
        """The model's search, where jobs of their own try it: it says ranges, and the back end can."""
        asked, metric = self._model.search, self._model.gate.metric
        if asked is None or not (asked.trials and asked.ranges) or not self._compute.capabilities.searches:
            return None
        found = _searched(asked)
        return JobSearch(f"validation:{metric}", HIGHER_IS_BETTER[metric], found.trials, found.ranges, found.seed)

    def _trials(self, search: JobSearch | None, result: JobResult) -> tuple[dict[str, Any], ...]:
        metric = self._model.gate.metric
        return tuple(
            {"parameters": dict(t.hyperparameters), metric: t.value, "job": t.job, "status": t.status}
            for t in (result.trials if search is not None else ())
        )

    def plan(self, snapshot: FeatureSnapshot, code_version: str) -> TrainingPlan:
        """What the job is asked to train, by which code."""
        model = self._model
        return TrainingPlan(
            model=self.name,
            task=model.task,
            target=self._features.target,
            inputs=inputs_of(self._features, self._personal),
            metric=model.gate.metric,
            higher_is_better=HIGHER_IS_BETTER[model.gate.metric],
            snapshot=snapshot.ref.to_json(),
            split=snapshot.split,
            code_version=code_version,
            window_column=snapshot.window_column,
            search=None if model.search is None else Search() if self._search() else _searched(model.search),
            personal=tuple(sorted(self._personal)),
        )

    def _job_name(self, key: str, *, searched: bool) -> str:
        shown, told = (LONGEST_BASE, 16) if not searched else (MAX_SEARCH_NAME - 20, 14)
        return attempt_name(self._compute, f"{job_base(self._system, self._model.name, shown)}-{key[:told]}-a")


def _searched(spec: SearchSpec) -> Search:
    ranges = {name: SearchRange(r.low, r.high, r.log, tuple(r.choices)) for name, r in sorted(spec.ranges.items())}
    return Search(spec.trials, spec.timeout_s, spec.seed, ranges)


def inputs_of(features: FeatureSetSpec, personal: frozenset[str] = frozenset()) -> tuple[InputField, ...]:
    """The signature's inputs of a feature set."""
    return tuple(
        InputField(
            name=f.name,
            type="double" if f.transform == "numeric" else "varchar",
            missing=f.missing,
            unseen=f.unseen,
            minimum=f.minimum,
            maximum=f.maximum,
            description=f.description,
            personal=f.name in personal,
            terms=(f.terms or TERMS) if f.transform == "text" else 0,
        )
        for f in features.features
    )


def _told(package: Path, manifest: Manifest, name: str) -> tuple[dict[str, Any], ...]:
    """A list of the package's evaluation; nothing where its container wrote none."""
    if EVALUATION not in manifest.files:
        return ()
    return tuple(json.loads((package / EVALUATION).read_bytes()).get(name, ()))


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
