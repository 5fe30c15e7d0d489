"""What the predict route reads of a request's headers, in one pass."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mlplatform.errors import DataError

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass(slots=True)
class RequestHead:
    """Header values; None where the header was not sent."""

    content_type: str | None = None
    accept: str | None = None
    token: str | None = None
    request_id: str | None = None
    target_model: str | None = None
    custom_attributes: bytes | None = None
    content_length: int = 0


def read_head(headers: Iterable[tuple[bytes, bytes]]) -> RequestHead:
    """Read the headers (names in lower case, as ASGI has them).

    Raises:
        DataError: the request id is not 1 to 128 visible ASCII characters.
    """
    head = RequestHead()
    for name, value in headers:
        if name == b"content-type":
            head.content_type = value.decode("latin-1")
        elif name == b"content-length":
            head.content_length = int(value)
        elif name == b"accept":
            head.accept = value.decode("latin-1")
        elif name == b"x-api-key":
            head.token = value.decode("latin-1")
        elif name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer" and head.token is None:
                head.token = token.strip().decode("latin-1")
        elif name in (b"x-request-id", b"x-amzn-sagemaker-inference-id"):
            if not _REQUEST_ID.fullmatch(value):
                raise DataError(
                    f"Header {name.decode()}: expected 1 to 128 visible ASCII characters, found {len(value)} bytes.",
                    next_step="Send a shorter id, or leave the header out: the gateway makes one.",
                )
            head.request_id = value.decode()
        elif name == b"x-amzn-sagemaker-target-model":
            head.target_model = value.decode("latin-1")
        elif name == b"x-amzn-sagemaker-custom-attributes":
            head.custom_attributes = value
    return head
