"""A model that another service holds (SageMaker's): calls are passed on, and their answers say which generation gave them.

While that service brings a new generation up, calls are answered by either; each is told, and captured, as what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from mlplatform.errors import UnavailableError
from mlplatform.ports.endpoints import Deployment, SelfServing
from mlplatform.ports.runtimes import Prediction
from mlplatform.serving.model_threads import ModelThreads

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from mlplatform.core.packages.manifest import Manifest

_encode = msgspec.json.Encoder().encode


class _Model(msgspec.Struct):
    generation: int


class _Answer(msgspec.Struct):
    """What the gateway's own code answers in the service's container (`core.codecs.json_body`)."""

    predictions: list[dict[str, Any]]
    inference_id: str
    model: _Model


_decode = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True)
class Forwarded:
    """An answer, and the record of the generation that gave it."""

    deployment: Deployment
    inference_id: str
    predictions: list[Prediction]


class ForwardedModel:
    """Of one generation, as far as this process knows it: what it takes. `service` is who answers."""

    def __init__(self, deployment: Deployment, manifest: Manifest, service: SelfServing) -> None:
        self._deployment = deployment
        self._manifest = manifest
        self._service = service
        self._records = {deployment.generation: deployment}
        self._threads = ModelThreads(self)

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    @property
    def is_captured(self) -> bool:
        """Whether the service captures calls itself."""
        return self._service.is_captured(self._deployment.endpoint)

    async def forward(self, rows: Sequence[Mapping[str, Any]], request_id: str) -> Forwarded:
        """The service's answer, waited for in a thread. Raises as `SelfServing.invoke` and `ModelThreads.run` do."""
        return await self._threads.run(self._asked, rows, request_id)

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """The service's answer."""
        return self._asked(rows, "").predictions

    def predict_table(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """One value a row, as `LoadedModel` says."""
        classes = self._manifest.signature.classes
        if not classes:
            return self.score_table(table)
        scores = self.score_table(table)
        best: npt.NDArray[np.float64] = np.argmax(scores, axis=1).astype(np.float64)
        return scores[:, 1] if self._manifest.signature.task == "binary" else best

    def score_table(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """All a row's scores, as `LoadedModel` says; the table is one call."""
        classes, predictions = self._manifest.signature.classes, self.predict_rows(table.to_pylist())
        if not classes:
            return np.array([p.value for p in predictions], dtype=np.float64)
        return np.array([[(p.probabilities or {})[c] for c in classes] for p in predictions], dtype=np.float64)

    def _asked(self, rows: Sequence[Mapping[str, Any]], request_id: str) -> Forwarded:
        body = _encode({"instances": rows})
        found = self._service.invoke(self._deployment.endpoint, body, request_id=request_id)
        try:
            answer = _decode(found.body)
        except msgspec.DecodeError as error:
            raise UnavailableError(
                f"Endpoint '{self._deployment.endpoint}' gave an answer that is none: {error}.",
                next_step="Tell who runs this platform: its container is none of the platform's.",
            ) from error
        deployment = self._record(answer.model.generation)
        name = str(deployment.settings.get("prediction", "prediction"))
        predictions = [
            Prediction(row[name], row.get("probabilities"), tuple(row.get("flags", ()))) for row in answer.predictions
        ]
        return Forwarded(deployment, answer.inference_id, predictions)

    def _record(self, generation: int) -> Deployment:
        if generation not in self._records:
            self._records |= {d.generation: d for d in self._service.history(self._deployment.endpoint)}
        found = self._records.get(generation)
        if found is None:
            raise UnavailableError(
                f"Endpoint '{self._deployment.endpoint}' answered by generation {generation}, which has no record.",
                next_step="Try again in a moment.",
            )
        return found
