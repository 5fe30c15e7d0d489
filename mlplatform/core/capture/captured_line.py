"""One line of what SageMaker captured, read: the bodies of a call as they were sent and answered.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from mlplatform.errors import DataError


class CapturedBody(msgspec.Struct, rename={"content_type": "observedContentType"}):
    """A request's or answer's body; base64 where SageMaker was not told that its type is text."""

    data: str
    encoding: str
    content_type: str = ""

    def content(self) -> bytes:
        """The body's bytes."""
        return base64.b64decode(self.data) if self.encoding == "BASE64" else self.data.encode()


class _Data(msgspec.Struct, rename={"request": "endpointInput", "answer": "endpointOutput"}):
    request: CapturedBody
    answer: CapturedBody


class _Event(msgspec.Struct, rename={"id": "eventId", "inference_id": "inferenceId", "at": "inferenceTime"}):
    id: str
    at: str
    inference_id: str = ""


class CapturedLine(msgspec.Struct, rename={"data": "captureData", "event": "eventMetadata"}):
    """A call: what was sent and answered, when, and what its caller named it (`event.inference_id`, or "")."""

    data: _Data
    event: _Event


class CapturedModel(msgspec.Struct):
    """Which model an answer says gave it."""

    generation: int
    version: int


class CapturedAnswer(msgspec.Struct):
    """An answer of the platform's own container, in JSON."""

    predictions: list[dict[str, Any]]
    inference_id: str
    model: CapturedModel


_line = msgspec.json.Decoder(CapturedLine).decode
_answer = msgspec.json.Decoder(CapturedAnswer).decode


def read_captured(line: bytes) -> CapturedLine:
    """The line. Raises DataError for what is none, or was captured without its request or its answer."""
    try:
        return _line(line)
    except msgspec.DecodeError as error:
        raise DataError(f"A line of captured data is not readable: {error}.") from error


def read_answer(body: CapturedBody) -> CapturedAnswer:
    """The answer. Raises DataError for one that does not say which generation gave it: it is no JSON of the platform's."""
    try:
        return _answer(body.content())
    except (msgspec.DecodeError, ValueError) as error:
        raise DataError(f"A captured answer is none that the platform's container gives in JSON: {error}.") from error
