"""A client's calls in a rehearsal: a body of bytes through the codecs, a served generation and its capture, in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mlplatform.core.codecs import codec_for
from mlplatform.errors import ProfileError
from mlplatform.ports.endpoints import SelfServed
from mlplatform.serving.capture import Capture
from mlplatform.serving.inference_id import uuid7
from mlplatform.serving.model_server import ModelServer
from mlplatform.serving.served_model import ServedModel

if TYPE_CHECKING:
    from mlplatform.platform import Platform
    from mlplatform.ports.runtimes import Prediction

JSON = "application/json"


@dataclass(frozen=True)
class Answered:
    """One call: the inference id of the answer, its predictions, and its bytes."""

    inference_id: str
    predictions: Sequence[Prediction]
    body: bytes


class Calls:
    """Answers calls as a gateway worker does, without sockets and keys."""

    def __init__(self, server: ModelServer, capture: Capture) -> None:
        self._server = server
        self._capture = capture

    def served(self, endpoint: str) -> ServedModel:
        """What answers for ``<system>/<endpoint>``. Raises NotFoundError saying why nothing does."""
        return self._server.get(endpoint)

    def ask(self, endpoint: str, rows: Sequence[Mapping[str, Any]]) -> Answered:
        """Send rows as JSON. Raises DataError naming the row and field that do not fit."""
        served, codec = self.served(endpoint), codec_for(JSON)
        decoded = codec.decode(json.dumps({"instances": rows}).encode(), served.fields)
        predictions = served.model.predict_rows(decoded)
        uuid = uuid7()
        inference_id = served.id_prefix + uuid
        envelope = {"inference_id": inference_id, "model": served.envelope}
        body = codec.encode(served.spec.prediction, predictions, envelope)
        self._capture.record(
            served, inference_id=inference_id, request_id=uuid, content_type=JSON, rows=decoded, predictions=predictions
        )
        return Answered(inference_id, predictions, body)


@contextmanager
def open_calls(platform: Platform) -> Iterator[Calls]:
    """Load every deployed generation; at the end, what was captured is written."""
    if not isinstance(platform.endpoints, SelfServed):
        raise ProfileError(
            f"Endpoints of profile '{platform.profile.name}' serve themselves.",
            next_step="Rehearse with a profile whose endpoints this machine serves: MLPLATFORM_PROFILE=local",
        )
    capture = Capture(platform.home.capture, secret=platform.secrets.get)
    server = ModelServer(
        platform.endpoints.desk(), platform.runtimes, platform.tracking.package, prepare=capture.prepare
    )
    asyncio.run(server.reconcile())
    try:
        yield Calls(server, capture)
    finally:
        capture.close()


def request_row(row: Mapping[str, Any], served: ServedModel) -> dict[str, Any]:
    """The fields of a row that a request carries, as JSON has them: categories and keys as text."""
    texts = {i.name for i in served.manifest.signature.inputs if i.type == "varchar"}
    return {name: _plain(row[name], text=name in texts) for name in served.fields.names if name in row}


def _plain(value: Any, *, text: bool) -> Any:
    if isinstance(value, bool):
        return str(value).lower() if text else value
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, datetime | date):
        return str(value)
    return str(value) if text and value is not None else value
