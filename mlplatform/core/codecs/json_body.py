"""``application/json``: ``{"instances": [{…}, …]}``, a list of objects, or one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mlplatform.core.tables.schema import MASKED
from mlplatform.errors import DataError

if TYPE_CHECKING:
    from mlplatform.core.codecs.codec import Answer
    from mlplatform.core.codecs.fields import RequestFields

_INSTANCES = {"instances"}
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class JsonCodec:
    """JSON by RFC 8259: there is no NaN in it; a missing value is null or left out."""

    content_type = "application/json"

    def decode(self, body: bytes, fields: RequestFields) -> list[dict[str, Any]]:
        """The rows. Raises DataError for what is no JSON, no such shape, or has an unknown field."""
        try:
            content = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DataError(f"The body is not readable as JSON: {error}.") from error
        rows = content
        if isinstance(content, dict):
            rows = content["instances"] if content.keys() == _INSTANCES else [content]
        if not isinstance(rows, list):
            raise DataError(
                'The body: expected {"instances": [{…}]}, a list of objects or one object, '
                f"found {type(rows).__name__} in JSON."
            )
        return checked(rows, fields)

    def encode(self, name: str, answers: Sequence[Answer], envelope: Mapping[str, Any]) -> bytes:
        """``{"predictions": [{<name>: value, "probabilities"?: {…}, "flags": […]}], …envelope}``."""
        return _encode({"predictions": [told(name, answer) for answer in answers], **envelope})


def checked(rows: list[Any], fields: RequestFields) -> list[dict[str, Any]]:
    """The rows, which are objects without an unknown field. Raises DataError."""
    fields.refuse_count(len(rows))
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            found = MASKED if fields.personal else _encode(row)[:80].decode(errors="ignore")
            raise DataError(f"Row {number}: expected an object with {', '.join(fields.names)}, found {found}.")
        if not row.keys() <= fields.known:
            fields.refuse_unknown(row, f"Row {number}")
    return rows


def told(name: str, answer: Answer) -> dict[str, Any]:
    """``{<name>: value, "probabilities"?: {…}, "flags": […]}``."""
    row: dict[str, Any] = {name: answer.value}
    if answer.probabilities is not None:
        row["probabilities"] = answer.probabilities
    row["flags"] = answer.flags
    return row
