"""Capture by who serves (SageMaker): its files become the same landing objects as the gateway's spools.

A file is moved: read, written as a landing object of its hour under its own name, then deleted. A drain that was killed
anywhere is repeated with the same names and content. What lies there afterwards is what was captured since; so retention and
erasure have one place to look at.

A call whose answer does not say which generation gave it (CSV, an error), or one of a generation whose package is gone, cannot be a
row, and is counted as a gap.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

from mlplatform.core.capture.captured_line import read_answer, read_captured
from mlplatform.core.capture.record import CapturedPrediction, CapturedRequest, landing_lines
from mlplatform.core.codecs import RequestFields, codec_for
from mlplatform.errors import DataError, NotFoundError
from mlplatform.ports.endpoints import Deployment
from mlplatform.ports.object_store import ObjectStore
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.stations.capture import Capture, Drained

VARIANT = "main"
LOOK_S = 10.0
"""Pause between two listings of what was captured; SageMaker writes files minutes late, and listings are paid."""
LEFT_LOOK_S = 300.0
"""The same, where the gateway captures: what SageMaker captured before, or until its endpoint has the configuration of now."""

log = logging.getLogger(__name__)


class ServiceCapture(Capture):
    """The capture of one endpoint that lies below `prefix`, and what the gateway spooled while it was the one to capture.

    `history`: the endpoint's records. `fields`: what requests to a generation may carry.
    """

    def __init__(
        self,
        store: ObjectStore,
        spool: Path,
        spec: EndpointSpec,
        *,
        system: str,
        prefix: str,
        history: Callable[[], list[Deployment]],
        fields: Callable[[Deployment], RequestFields],
        look_s: float = LOOK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(store, spool, spec, system=system)
        self._captured = prefix
        self._history = history
        self._fields = fields
        self._look_s = look_s
        self._clock = clock
        self._due_at = -math.inf
        self._known: dict[int, tuple[Deployment, RequestFields]] = {}

    def drain(self) -> Drained:
        """Move every file, and what was spooled; files are looked for every `look_s` seconds at most."""
        moved = [super().drain()]
        if self._clock() >= self._due_at:
            moved += [self._take(info.key) for info in list(self._store.list(self._captured))]
            self._due_at = self._clock() + self._look_s
        return Drained(*(sum(getattr(d, name) for d in moved) for name in ("objects", "requests", "rows", "gap")))

    def _take(self, key: str) -> Drained:
        with self._store.open(key) as file:
            lines = file.read().splitlines()
        requests, gap = [], 0
        for line in lines:
            try:
                requests.append(self._request(line))
            except DataError as error:
                gap += 1
                log.warning("captured call of %s is no row: %s", self._name, error)
        rows = b"".join(landing_lines(request, keys=self._keys) for request in requests)
        *_, year, month, day, hour, name = key.split("/")
        if requests:
            self._put(f"{self.prefix}{year}/{month}/{day}/{hour}/{name}", rows)
        if gap:
            self._put_gap(name.removesuffix(".jsonl"), gap)
        self._store.delete(key)
        return Drained(int(bool(requests)), len(requests), rows.count(b"\n"), gap)

    def _request(self, line: bytes) -> CapturedRequest:
        found = read_captured(line)
        answer = read_answer(found.data.answer)
        deployment, fields = self._generation(answer.model.generation)
        sent = found.data.request
        rows = codec_for(sent.content_type).decode(sent.content(), fields)
        name = str(deployment.settings.get("prediction", "prediction"))
        if len(rows) != len(answer.predictions) or any(name not in row for row in answer.predictions):
            raise DataError(
                f"It has {len(rows)} rows, and its answer {len(answer.predictions)} predictions of '{name}'."
            )
        return CapturedRequest(
            sequence=0,
            captured_at=found.event.at,
            inference_id=answer.inference_id,
            request_id=found.event.inference_id or answer.inference_id.rpartition(".")[2],
            endpoint=self._name,
            variant=VARIANT,
            generation=deployment.generation,
            version=deployment.version,
            digest=deployment.digest,
            content_type=sent.content_type,
            rows=rows,
            predictions=[
                CapturedPrediction(row[name], row.get("probabilities"), row.get("flags", []))
                for row in answer.predictions
            ],
        )

    def _generation(self, generation: int) -> tuple[Deployment, RequestFields]:
        if generation not in self._known:
            found = next((d for d in self._history() if d.generation == generation), None)
            if found is None:
                raise DataError(f"Generation {generation} of endpoint '{self._name}' has no record.")
            try:
                self._known[generation] = found, self._fields(found)
            except NotFoundError as error:
                raise DataError(
                    f"What generation {generation} of endpoint '{self._name}' takes is lost: {error}"
                ) from error
        return self._known[generation]
