"""``application/jsonlines`` (https://jsonlines.org): an object a line, as batch transforms send rows and take answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mlplatform.core.codecs.json_body import checked, told
from mlplatform.errors import DataError

if TYPE_CHECKING:
    from mlplatform.core.codecs.codec import Answer
    from mlplatform.core.codecs.fields import RequestFields

_decode = msgspec.json.Decoder().decode_lines
_encode = msgspec.json.Encoder().encode_lines


class LinesCodec:
    """JSON Lines; empty lines are none."""

    content_type = "application/jsonlines"

    def decode(self, body: bytes, fields: RequestFields) -> list[dict[str, Any]]:
        """The rows. Raises DataError for what is no JSON, or no object of known fields."""
        try:
            rows = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DataError(f"The body is not readable as JSON lines: {error}.") from error
        return checked(rows, fields)

    def encode(self, name: str, answers: Sequence[Answer], envelope: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - a line is a row
        """A line a row: ``{<name>: value, "probabilities"?: {…}, "flags": […]}``; what is said once goes to headers."""
        return _encode([told(name, answer) for answer in answers])
