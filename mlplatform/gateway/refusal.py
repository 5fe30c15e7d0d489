"""Refusals: errors as the gateway's clients see them."""

from __future__ import annotations

import msgspec

from mlplatform.core.codecs import UnsupportedContentTypeError
from mlplatform.errors import DataError, PlatformError, UserError, http_status

Headers = list[tuple[bytes, bytes]]


class BodyTooLargeError(DataError):
    """The request's body is larger than the endpoint takes (HTTP 413)."""


class MethodNotAllowedError(UserError):
    """The route takes another method (HTTP 405)."""


STATUSES: dict[type[PlatformError], int] = {
    BodyTooLargeError: 413,
    UnsupportedContentTypeError: 415,
    MethodNotAllowedError: 405,
}
"""What HTTP tells apart finer than `errors.HTTP_STATUSES` does."""


FIELDS = "The endpoint's fields, and an example, are at /schema."
"""What to do about a body that does not fit, where nothing says it better."""


class ErrorBody(msgspec.Struct):
    """What failed: a stable `code`, a sentence, what to do about it, and the request's id."""

    code: str
    message: str
    next_step: str
    request_id: str


class ErrorAnswer(msgspec.Struct):
    """Body of every answer that is no success."""

    error: ErrorBody


def status_of(error: PlatformError) -> int:
    """HTTP status of an error."""
    return STATUSES.get(type(error)) or http_status(error)


def refusal(error: PlatformError, request_id: str) -> tuple[int, Headers, bytes]:
    """Status, headers and body for `error`."""
    next_step = error.own_step or (FIELDS if isinstance(error, DataError) else error.next_step)
    body = msgspec.json.encode(ErrorAnswer(ErrorBody(error.code, error.message, next_step, request_id)))
    status = status_of(error)
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 405:
        headers.append((b"allow", b"POST"))
    if error.retryable:
        headers.append((b"retry-after", b"1"))
    return status, headers, body
