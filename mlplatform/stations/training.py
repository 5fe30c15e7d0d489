"""Training: a job in its container, and its package staged as a candidate.

A job is named by what goes into it: rows, plan, hyperparameters, code, hosts, and the container's content. The same inputs
again join the running job or take the finished one's package; after a failure the next attempt has a name of its own, and
begins with the checkpoints that the one before it left.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplatform.core.packages.manifest import InputField, Manifest, read_package
from mlplatform.core.training.plan import FILE, Search, SearchRange, TrainingPlan
from mlplatform.core.training.split import CHANNELS
from mlplatform.errors import JobError, NotFoundError
from mlplatform.ports.compute import Channel, Compute, JobSpec
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.tracking import Candidate, TrackedRun, Tracking
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.model import HIGHER_IS_BETTER, ModelSpec, SearchSpec
from mlplatform.stations.feature_snapshot import FeatureSnapshot

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
    """

    candidate: Candidate
    job: str
    metrics: dict[str, float]
    peak_memory_mib: float
    leaderboard: tuple[dict[str, Any], ...] = ()
    billable_s: int | None = None


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
            _leaderboard(result.model_dir, manifest),
            None if result.billable_s is None else result.billable_s * job.hosts,
        )

    def _job(self, snapshot: FeatureSnapshot, plan: TrainingPlan, run_id: str) -> JobSpec:
        """The job that trains by `plan`, which is stored where it reads it."""
        hyperparameters = {name: str(value) for name, value in self._model.hyperparameters.items()}
        content = {**plan.to_json(), "snapshot": plan.snapshot["id"]}
        if self._compute.capabilities.shared:
            content["objects"] = self._store.url("")
        alone = self._model.hosts == 1
        key = _digest([content, hyperparameters] if alone else [content, hyperparameters, self._model.hosts])
        prefix = f"jobs/{self._system}/{self._model.name}/{key}/"
        self._store.put(f"{prefix}spec/{FILE}", json.dumps(plan.to_json(), sort_keys=True).encode())
        if self._source is not None:
            self._store.put(f"{prefix}spec/{WAREHOUSE}", json.dumps(self._source.document, sort_keys=True).encode())
        return JobSpec(
            name=self._job_name(key),
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
            search=None if model.search is None else _searched(model.search),
            personal=tuple(sorted(self._personal)),
        )

    def _job_name(self, key: str) -> str:
        """The name of the first attempt that has not failed."""
        base = re.sub(r"[^a-zA-Z0-9]+", "-", f"{self._system}-{self._model.name}").strip("-")[:36].rstrip("-")
        for attempt in itertools.count(1):
            name = f"{base}-{key[:16]}-a{attempt}"
            try:
                status = self._compute.describe(name)["TrainingJobStatus"]
            except NotFoundError:
                return name
            if status not in ("Failed", "Stopped"):
                return name
        raise AssertionError  # count() has no end


def _searched(spec: SearchSpec) -> Search:
    ranges = {name: SearchRange(r.low, r.high, r.log, tuple(r.choices)) for name, r in sorted(spec.ranges.items())}
    return Search(spec.trials, spec.timeout_s, spec.seed, ranges)


def inputs_of(features: FeatureSetSpec, personal: frozenset[str] = frozenset()) -> tuple[InputField, ...]:
    """The signature's inputs of a feature set."""
    return tuple(
        InputField(
            name=f.name,
            type="varchar" if f.transform == "category" else "double",
            missing=f.missing,
            unseen=f.unseen,
            minimum=f.minimum,
            maximum=f.maximum,
            description=f.description,
            personal=f.name in personal,
        )
        for f in features.features
    )


def _leaderboard(package: Path, manifest: Manifest) -> tuple[dict[str, Any], ...]:
    if EVALUATION not in manifest.files:
        return ()
    return tuple(json.loads((package / EVALUATION).read_bytes()).get("leaderboard", ()))


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
