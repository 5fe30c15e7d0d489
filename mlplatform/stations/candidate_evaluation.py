"""A candidate evaluated by a container of the user's own: the package and its held-out rows in, metrics and reports out.

A processing job with the channels ``model`` (the candidate's package), ``test`` (the held-out rows), ``spec`` (`evaluation.json`:
what it is about) and ``champion`` (the package of the version that is used now, where there is one). What it leaves in its output
``evaluation`` is kept; `metrics.json` there, names to numbers, is required. One that fails refuses the candidate.

reports/<system>/<model>/evaluations/<key>/…   what it read as `spec`, and what it left
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlplatform.core.packages.manifest import Manifest, read_package
from mlplatform.errors import DataError, SpecError
from mlplatform.ports.compute import Channel, Compute, JobSpec
from mlplatform.ports.endpoints import Endpoints
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.tracking import Candidate, Tracking
from mlplatform.spec.model import EvaluationSpec, ModelSpec
from mlplatform.stations.champion_version import champion_of
from mlplatform.stations.feature_snapshot import FeatureSnapshot
from mlplatform.stations.job_names import attempt_name, job_base

OUTPUT, METRICS, ABOUT = "evaluation", "metrics.json", "evaluation.json"


@dataclass(frozen=True)
class Evaluated:
    """What a container said of a candidate. `prefix`: of the objects that it left; `billable_s`: of all its hosts."""

    job: str
    metrics: dict[str, float]
    prefix: str
    billable_s: int | None


class CandidateEvaluation:
    """Evaluates candidates of one model; `endpoint` is ``<system>/<endpoint>`` that serves it, or None."""

    def __init__(
        self,
        compute: Compute,
        tracking: Tracking,
        endpoints: Endpoints,
        store: ObjectStore,
        model: ModelSpec,
        evaluation: EvaluationSpec,
        *,
        system: str,
        endpoint: str | None = None,
    ) -> None:
        self._compute = compute
        self._tracking = tracking
        self._endpoints = endpoints
        self._store = store
        self._model = model
        self._spec = evaluation
        self._system = system
        self._endpoint = endpoint
        self.name = f"{system}.{model.name}"

    def evaluate(
        self, candidate: Candidate, snapshot: FeatureSnapshot, *, on_log: Callable[[str], None] | None = None
    ) -> Evaluated:
        """Run the container, and write its metrics beside the candidate's own, as ``evaluation_<name>``.

        Raises:
            SpecError: the held-out rows lie in the warehouse only.
            JobError: the container failed, which refuses the candidate.
            DataError: it left no metrics, or some that are no numbers.
        """
        package = self._tracking.package(self.name, candidate.digest)
        job = self._job(candidate, package, read_package(package, digest=candidate.digest), snapshot)
        result = self._compute.run(job, on_log=on_log)
        metrics = _metrics(None if result.output_dir is None else result.output_dir / OUTPUT / METRICS, job)
        told = {f"evaluation_{name}": value for name, value in metrics.items()}
        self._tracking.annotate(self.name, candidate.digest, tags={"evaluation_job": job.name}, metrics=told)
        billable_s = None if result.billable_s is None else result.billable_s * job.hosts
        return Evaluated(job.name, metrics, f"{job.output_prefix}{job.name}/output/{OUTPUT}/", billable_s)

    def _job(self, candidate: Candidate, package: Path, manifest: Manifest, snapshot: FeatureSnapshot) -> JobSpec:
        rows = snapshot.channels["test"]
        if any(info.key.endswith("query.json") for info in self._store.list(rows)):
            raise SpecError(
                f"Model '{self._model.name}' is evaluated by a container, which reads files: its feature set unloads none.",
                next_step="Set channel: files of the feature set, or remove the model's evaluation.",
            )
        found = champion_of(self._endpoints, self._tracking, model=self.name, endpoint=self._endpoint)
        champion = found if found is not None and found.digest != candidate.digest else None
        signature = manifest.signature
        about = {
            "model": self.name,
            "digest": candidate.digest,
            "champion": None if champion is None else {"version": champion.version, "digest": champion.digest},
            "task": signature.task,
            "target": signature.target,
            "classes": list(signature.classes),
            "inputs": [field.name for field in signature.inputs],
            "metric": self._model.gate.metric,
            "snapshot": snapshot.ref.id,
        }
        container = self._spec.container
        content = [about, container, self._compute.container_digest(container), list(self._spec.arguments)]
        if self._compute.capabilities.shared:
            content.append(self._store.url(""))
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        prefix = f"reports/{self._system}/{self._model.name}/evaluations/{key}/"
        self._store.put(f"{prefix}spec/{ABOUT}", json.dumps(about, sort_keys=True).encode())
        channels = [
            Channel("model", str(package.absolute())),
            Channel("test", rows),
            Channel("spec", f"{prefix}spec/", "application/json"),
        ]
        if champion is not None:
            channels.append(Channel("champion", str(self._tracking.package(self.name, champion.digest).absolute())))
        return JobSpec(
            name=attempt_name(self._compute, f"{job_base(self._system, self._model.name)}-{key}-p"),
            container=container,
            hyperparameters={},
            channels=tuple(channels),
            output_prefix=prefix,
            timeout_s=self._spec.limits.timeout_s,
            memory_mib=self._spec.limits.memory_mib,
            tags={"system": self._system, "model": self._model.name},
            outputs=(OUTPUT,),
            arguments=tuple(self._spec.arguments),
        )


def _metrics(path: Path | None, job: JobSpec) -> dict[str, float]:
    where = f"Evaluation '{job.name}' by container '{job.container}'"
    step = f"Write it into the folder that {'MLPLATFORM_OUTPUT_' + OUTPUT.upper()} names: names to numbers."
    if path is None or not path.is_file():
        raise DataError(f"{where} left no '{METRICS}'.", next_step=step)
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{where} left a '{METRICS}' that is no JSON: {error}.", next_step=step) from error
    wrong = [
        name
        for name, value in (found.items() if isinstance(found, dict) else [("", found)])
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
    ]
    if wrong:
        raise DataError(f"{where}: expected numbers in '{METRICS}'; '{wrong[0]}' is none.", next_step=step)
    return {str(name): float(value) for name, value in found.items()}
