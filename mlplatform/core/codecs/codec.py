"""The codec of a request or answer: chosen by content type alone, never by looking at the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mlplatform.errors import DataError

if TYPE_CHECKING:
    from mlplatform.core.codecs.fields import RequestFields


class UnsupportedContentTypeError(DataError):
    """No codec reads this content type (HTTP 415)."""


class Answer(Protocol):
    """What is written of one row's answer; `ports.runtimes.Prediction` is one."""

    @property
    def value(self) -> float | str: ...
    @property
    def probabilities(self) -> Mapping[str, float] | None: ...
    @property
    def flags(self) -> Sequence[str]: ...


class Codec(Protocol):
    """Reads a request's rows and writes an answer's."""

    @property
    def content_type(self) -> str:
        """Content type of what `encode` writes."""
        ...

    def decode(self, body: bytes, fields: RequestFields) -> list[dict[str, Any]]:
        """The body's rows. Raises DataError naming the row and field, or the place, that does not fit."""
        ...

    def encode(self, name: str, answers: Sequence[Answer], envelope: Mapping[str, Any]) -> bytes:
        """The answers' bytes; a row's value is called `name`. `envelope` is what is said once (ids): CSV leaves it to headers."""
        ...


def codec_for(content_type: str | None) -> Codec:
    """The codec of a Content-Type header: ``application/json``, ``application/jsonlines``, or ``text/csv`` with ``header=present`` or
    ``absent``.

    Without the parameter CSV has no header (RFC 4180 leaves it open, SageMaker's convention is none).

    Raises:
        UnsupportedContentTypeError: another type, another charset than UTF-8, or no type at all.
    """
    from mlplatform.core.codecs.csv_body import CsvCodec
    from mlplatform.core.codecs.json_body import JsonCodec
    from mlplatform.core.codecs.lines_body import LinesCodec

    if content_type == "application/json":
        return JsonCodec()
    kind, parameters = _parse(content_type or "")
    charset = parameters.pop("charset", "utf-8")
    header = parameters.get("header", "absent")
    if charset.lower() in ("utf-8", "utf8"):
        if kind == "application/json":
            return JsonCodec()
        if kind == "application/jsonlines":
            return LinesCodec()
        if kind == "text/csv" and header in ("present", "absent"):
            return CsvCodec(header=header == "present")
    found = f"'{content_type[:120]}'" if content_type else "none"
    raise UnsupportedContentTypeError(
        f"Content type: expected application/json, application/jsonlines or text/csv (header=present or absent), in UTF-8; "
        f"found {found}."
    )


def answer_codec(accept: str | None, request: Codec) -> Codec:
    """The codec of the answer: the first of the Accept header's types that there is, else the request's own."""
    for entry in (accept or "").split(","):
        kind, _ = _parse(entry)
        if kind in ("application/json", "application/jsonlines", "text/csv"):
            return codec_for(entry.strip())
    return request


def _parse(content_type: str) -> tuple[str, dict[str, str]]:
    kind, *parameters = content_type.split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return kind.strip().lower(), {name.strip().lower(): value.strip().strip('"').lower() for name, _, value in pairs}
