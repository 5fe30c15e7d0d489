"""Lineage: from the id in a prediction's answer back to the rows, the code and the runs that made its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from mlplatform.core.packages.manifest import Manifest, read_package
from mlplatform.core.rollout.inference_id import InferenceId, parse_inference_id
from mlplatform.core.sql import identifier
from mlplatform.errors import NotFoundError
from mlplatform.ports.endpoints import Deployment, Endpoints
from mlplatform.ports.item_store import ItemStore
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.tracking import ModelVersion, Tracking
from mlplatform.ports.warehouse import Warehouse
from mlplatform.stations.removed_endpoint import removed_endpoint
from mlplatform.stations.retrain import COLLECTION as REQUESTS
from mlplatform.stations.snapshot_parts import read_manifest, read_parts
from mlplatform.stations.verdict import VERDICTS

CapturedState = Literal[
    "captured",
    "not in the capture: not loaded yet, sampled out, expired, or never given",
    "not asked: no capture at hand",
]
CAPTURED, NOT_CAPTURED, NOT_ASKED = get_args(CapturedState)
SHOWN = 5
"""Rows of a captured request that the text shows; the record has them all."""


@dataclass(frozen=True)
class StoredPart:
    """One object of the training rows; `channel` is what they were used for (train, validation, test)."""

    channel: str
    key: str
    rows: int
    size_bytes: int
    sha256: str
    present: bool


@dataclass(frozen=True)
class LineageRecord:
    """Everything that follows from one inference id; JSON-able.

    Attributes:
        captured: the rows of this inference in the capture table (inputs, keys, answer); empty where capture is not
            loaded yet, left the request out, or is not asked.
        captured_state: whether the answer itself was found there. An id that nobody was ever given has the same form as
            one that was, so everything else in the record holds for what such an id would have come from.
        request: the retraining request that the deploying run answered, with the evaluation that caused it, or None.
        parts: the exact training rows, as objects with their hashes.
        erased: erasures that took rows out of them since: id, time, rows. The snapshot's id stays that of what was trained on.
        verdict: what the gate said of this model, or None.
    """

    inference_id: str
    endpoint: str
    generation: int
    variant: str
    deployment: Mapping[str, Any]
    model: str
    version: int
    digest: str
    registered_at: str
    mlflow_run: str
    dagster_run: str
    training_job: str
    code_commit: str
    trained_to: str | None
    snapshot: Mapping[str, Any]
    parts: tuple[StoredPart, ...]
    erased: tuple[Mapping[str, Any], ...]
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    verdict: Mapping[str, Any] | None
    request: Mapping[str, Any] | None
    captured: tuple[Mapping[str, Any], ...]
    captured_state: CapturedState

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        """For people: the chain from the prediction to the rows, one step a line."""
        lines = [f"prediction   {self.inference_id}"]
        lines += [f"             {_answer(row)}" for row in self.captured[:SHOWN]]
        if len(self.captured) > SHOWN:
            lines.append(f"             and {len(self.captured) - SHOWN} rows more")
        lines += [f"answer       {self.captured_state}"]
        lines += [
            f"endpoint     {self.endpoint}, generation {self.generation}, variant {self.variant}",
            f"deployed     {self.deployment['created_at']} because of: {self.deployment['reason']}",
            f"dagster run  {self.dagster_run or 'none'}",
        ]
        if self.request is not None:
            lines.append(f"asked for by {self.request['id']}: {self.request['reason']}")
        passed = "no verdict stored" if self.verdict is None else _verdict(self.verdict)
        metrics = ", ".join(f"{k} {v:.4g}" for k, v in sorted(self.metrics.items()))
        lines += [
            f"model        {self.model} version {self.version}, digest {self.digest[:12]}, registered {self.registered_at}",
            f"gate         {passed}",
            f"metrics      {metrics or 'none'}",
            f"mlflow run   {self.mlflow_run}",
            f"training job {self.training_job}",
            f"code commit  {self.code_commit}",
            f"rows         {self.snapshot['rows']} up to {self.trained_to}, snapshot {self.snapshot['id'][:12]} "
            f"(ledger position {self.snapshot['ledger_position']}, engine version {self.snapshot['engine_version']})",
        ]
        for part in self.parts:
            gone = "" if part.present else ", GONE"
            lines.append(f"             {part.channel}: {part.key}, {part.rows} rows, sha256 {part.sha256[:12]}{gone}")
        for note in self.erased:
            lines.append(f"             {note['rows']} rows were erased at {note['at']} (erasure {note['erasure']})")
        return "\n".join(lines)


class Lineage:
    """Traces predictions of one system's endpoints.

    Args:
        warehouse: where the capture tables are; None = the answer itself is not looked up.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        tracking: Tracking,
        store: ObjectStore,
        items: ItemStore,
        *,
        system: str,
        warehouse: Warehouse | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._tracking = tracking
        self._store = store
        self._items = items
        self._system = system
        self._warehouse = warehouse

    def trace(self, inference_id: str) -> LineageRecord:
        """Where the prediction came from.

        Raises:
            DataError: it is no inference id.
            NotFoundError: no such endpoint, generation, version or snapshot manifest, by name.
            StateError: the package or the snapshot's manifest is damaged.
        """
        parsed = parse_inference_id(inference_id)
        deployment = self._deployment(parsed)
        version = self._version(deployment)
        package = self._tracking.package(deployment.model, deployment.digest)
        manifest = read_package(package, digest=deployment.digest)
        verdict = self._items.get(VERDICTS, deployment.digest)
        captured = self._captured(parsed)
        return LineageRecord(
            inference_id=inference_id,
            endpoint=deployment.endpoint,
            generation=parsed.generation,
            variant=parsed.variant,
            deployment=deployment.to_json(),
            model=deployment.model,
            version=deployment.version,
            digest=deployment.digest,
            registered_at=version.created_at,
            mlflow_run=version.run_id,
            dagster_run=deployment.run_id,
            training_job=manifest.training_job,
            code_commit=manifest.code_version,
            trained_to=manifest.trained_to,
            snapshot=manifest.snapshot,
            parts=self._parts(manifest),
            erased=tuple(read_manifest(self._store, manifest.snapshot).get("erased", [])),
            metrics={**version.metrics, **manifest.metrics},
            parameters=manifest.parameters,
            verdict=None if verdict is None else verdict.value,
            request=self._request(deployment),
            captured=captured or (),
            captured_state=NOT_ASKED if captured is None else CAPTURED if captured else NOT_CAPTURED,
        )

    def _deployment(self, parsed: InferenceId) -> Deployment:
        name = f"{self._system}/{parsed.endpoint}"
        history = self._endpoints.history(name)
        for deployment in history:
            if deployment.generation == parsed.generation:
                return deployment
        removed = removed_endpoint(self._items, name)
        if removed is not None and parsed.generation <= removed.generation:
            raise NotFoundError(
                f"Prediction '{parsed}' was made before endpoint '{name}' was destroyed at {removed.removed_at}; what it "
                "came from went with it.",
                next_step="A backup made before has it (mlplatform state restore).",
            )
        there = f"it has {history[0].generation} to {history[-1].generation}" if history else "it was never deployed"
        raise NotFoundError(
            f"Endpoint '{name}' has no generation {parsed.generation}; {there}.",
            next_step="Give an inference id of this installation, as a prediction's answer has it.",
        )

    def _version(self, deployment: Deployment) -> ModelVersion:
        for version in self._tracking.versions(deployment.model):
            if version.version == deployment.version:
                return version
        raise NotFoundError(
            f"Model '{deployment.model}' has no version {deployment.version}, which generation {deployment.generation} "
            f"of endpoint '{deployment.endpoint}' serves.",
            next_step="Restore the models' tracking from a backup: mlplatform state restore",
        )

    def _parts(self, manifest: Manifest) -> tuple[StoredPart, ...]:
        return tuple(
            StoredPart(channel, p.key, p.rows, p.size_bytes, p.sha256, present=self._store.head(p.key) is not None)
            for channel, p in read_parts(self._store, manifest.snapshot)
        )

    def _request(self, deployment: Deployment) -> Mapping[str, Any] | None:
        if not deployment.run_id:
            return None
        found = self._items.list(REQUESTS, prefix=f"{deployment.endpoint}/")
        return next((i.value for i in found if i.value["run_id"] == deployment.run_id), None)

    def _captured(self, parsed: InferenceId) -> tuple[Mapping[str, Any], ...] | None:
        if self._warehouse is None:
            return None
        table = identifier(f"{parsed.endpoint}_capture")
        sql = f"SELECT row_number, captured_at, prediction, flags, features, keys FROM {table} WHERE inference_id = ? ORDER BY row_number"  # noqa: S608
        try:
            rows = self._warehouse.query(sql, [str(parsed)]).to_pylist()
        except NotFoundError:
            return ()
        return tuple({**row, "captured_at": str(row["captured_at"])} for row in rows)


def _answer(row: Mapping[str, Any]) -> str:
    return f"row {row['row_number']}: {row['features']} {row['keys']} → {row['prediction']} at {row['captured_at']}"


def _verdict(verdict: Mapping[str, Any]) -> str:
    word = "passed" if verdict.get("passed") else "did not pass"
    return f"{word}: {verdict.get('reason', '')}".rstrip(": ")
