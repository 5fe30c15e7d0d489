"""What is kept of a request and its answer: the spool's line, and the landing lines made of it.

A spool line is one request; a landing line is one predicted row, named by ``(inference_id, row_number)``. `sequence`
counts a worker's captured requests of one endpoint from 1: a hole in it is a request that was answered and not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mlplatform.core.tables.schema import Column, TableSchema


class CapturedPrediction(msgspec.Struct, omit_defaults=True):
    """One row's answer."""

    value: float | str
    probabilities: dict[str, float] | None = None
    flags: list[str] = []


class CapturedRequest(msgspec.Struct):
    """One line of the spool. `rows` are the request's, masked; `captured_at` is in UTC."""

    sequence: int
    captured_at: str
    inference_id: str
    request_id: str
    endpoint: str
    variant: str
    generation: int
    version: int
    digest: str
    content_type: str
    rows: list[dict[str, Any]]
    predictions: list[CapturedPrediction]


decode_request = msgspec.json.Decoder(CapturedRequest).decode
_encode = msgspec.json.Encoder().encode


def landing_lines(request: CapturedRequest, *, keys: frozenset[str]) -> bytes:
    """One JSON line a predicted row, each ending in a line break; fields in `keys` stand apart from the features."""
    lines = []
    for number, (row, answer) in enumerate(zip(request.rows, request.predictions, strict=True), 1):
        line = {
            "inference_id": request.inference_id,
            "row_number": number,
            "captured_at": request.captured_at,
            "variant": request.variant,
            "generation": request.generation,
            "version": request.version,
            "digest": request.digest,
            "request_id": request.request_id,
            "prediction": answer.value,
            "probabilities": answer.probabilities,
            "flags": answer.flags,
            "features": {name: value for name, value in row.items() if name not in keys},
            "keys": {name: value for name, value in row.items() if name in keys},
        }
        lines.append(_encode(line) + b"\n")
    return b"".join(lines)


def requests_of(lines: Sequence[bytes], *, endpoint: str) -> list[CapturedRequest]:
    """The requests that landing lines were made of, in their order (sequence and content type are not kept: 0 and JSON)."""
    requests: dict[str, CapturedRequest] = {}
    for line in lines:
        row = msgspec.json.decode(line)
        found = requests.get(row["inference_id"])
        if found is None:
            fixed = {
                name: row[name]
                for name in ("captured_at", "inference_id", "request_id", "variant", "generation", "version", "digest")
            }
            found = CapturedRequest(
                sequence=0, endpoint=endpoint, content_type="application/json", rows=[], predictions=[], **fixed
            )
            requests[found.inference_id] = found
        found.rows.append({**row["features"], **row["keys"]})
        found.predictions.append(CapturedPrediction(row["prediction"], row["probabilities"], row["flags"]))
    return list(requests.values())


def capture_schema(endpoint: str, *, regression: bool) -> TableSchema:
    """The warehouse table ``<endpoint>_capture``; a retried request (same request id) is one row, as its ids agree."""
    return TableSchema(
        name=f"{endpoint}_capture",
        columns=(
            Column("inference_id", nullable=False, description="Carries generation and variant; also in the answer."),
            Column("row_number", "bigint", nullable=False, minimum=1, description="The row's place in its request."),
            Column("captured_at", "timestamp", nullable=False, description="When it was answered, UTC."),
            Column("variant", nullable=False),
            Column("generation", "bigint", nullable=False),
            Column("version", "bigint", nullable=False, description="The model's registered version."),
            Column("digest", nullable=False, description="The model package's."),
            Column("request_id", nullable=False),
            Column("prediction", "double" if regression else "varchar", nullable=False),
            Column("probabilities", "json", description="By class, for classification."),
            Column("flags", "json", description="Such as unseen:<field>."),
            Column("features", "json", description="The row as sent, masked as the endpoint says."),
            Column("keys", "json", description="Fields to join the truth by."),
        ),
        unique_key=("inference_id", "row_number"),
        event_time="captured_at",
    )
