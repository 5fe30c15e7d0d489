"""SageMaker's data-capture format, for tools that read it.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html

What is exported is what was kept: rows as JSON, masked, whatever the content type of the request was.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mlplatform.core.capture.record import CapturedRequest

_encode = msgspec.json.Encoder().encode


def data_capture_key(prefix: str, endpoint: str, request: CapturedRequest) -> str:
    """``<prefix>/<endpoint>/<variant>/yyyy/mm/dd/hh/<mm-ss-fff>-<uuid>.jsonl`` of a file that begins with `request`."""
    day, _, time = request.captured_at.partition("T")
    hour, minute, second = time.rstrip("Z").split(":")
    name = f"{minute}-{second[:2]}-{second[3:6]}-{_uuid(request)}.jsonl"
    return f"{prefix}/{endpoint}/{request.variant}/{day.replace('-', '/')}/{hour}/{name}"


def data_capture_line(request: CapturedRequest, *, prediction: str) -> bytes:
    """One line, without the line break; `prediction` is the answer's name of the value."""
    answers: list[dict[str, Any]] = []
    for p in request.predictions:
        shares = {"probabilities": p.probabilities} if p.probabilities is not None else {}
        answers.append({prediction: p.value, **shares, "flags": p.flags})
    return _encode(
        {
            "captureData": {
                "endpointInput": _part("INPUT", {"instances": request.rows}),
                "endpointOutput": _part("OUTPUT", {"predictions": answers}),
            },
            "eventMetadata": {
                "eventId": _uuid(request),
                "inferenceId": request.inference_id,
                "inferenceTime": f"{request.captured_at[:19]}Z",
            },
            "eventVersion": "0",
        }
    )


def _part(mode: str, data: dict[str, Any]) -> dict[str, str]:
    return {
        "observedContentType": "application/json",
        "mode": mode,
        "data": _encode(data).decode(),
        "encoding": "JSON",
    }


def _uuid(request: CapturedRequest) -> str:
    return request.inference_id.rpartition(".")[2]
