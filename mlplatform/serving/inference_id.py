"""Inference ids: ``<endpoint>.g<generation>.<variant>.<uuid>``, from which a prediction's lineage follows.

The UUID is a version 7 (RFC 9562: time, then random), or, where the caller named the request, a version 8 made of the
request id and body: a retry answered by the same generation is the same inference.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
from dataclasses import dataclass

from mlplatform.errors import DataError

_VERSION_7 = 7 << 76 | 2 << 62
_VERSION_8 = 8 << 76 | 2 << 62
_RANDOM = ((1 << 12) - 1) << 64 | (1 << 62) - 1
_ID = re.compile(
    r"(?P<endpoint>[a-z][a-z0-9_]*)\.g(?P<generation>\d+)\.(?P<variant>[a-z][a-z0-9_]*)\.(?P<uuid>[0-9a-f-]{36})"
)
_bits = random.Random().getrandbits  # noqa: S311 - ids need to differ, not to be secret


@dataclass(frozen=True)
class InferenceId:
    """An inference id read back."""

    endpoint: str
    generation: int
    variant: str
    uuid: str


def uuid7() -> str:
    """A new UUID of version 7."""
    return _text(time.time_ns() // 1_000_000 << 80 | _bits(128) & _RANDOM | _VERSION_7)


def named_uuid(request_id: str, body: bytes) -> str:
    """The UUID (version 8) of a request that its caller named: SHA-256 of the name and the body."""
    digest = hashlib.sha256(request_id.encode() + b"\0" + body).digest()
    number = int.from_bytes(digest[:16])
    return _text(number & ~(15 << 76 | 3 << 62) | _VERSION_8)


def parse_inference_id(text: str) -> InferenceId:
    """Read an inference id. Raises DataError for what is none."""
    match = _ID.fullmatch(text)
    if match is None:
        raise DataError(f"'{text[:120]}' is no inference id; expected <endpoint>.g<generation>.<variant>.<uuid>.")
    return InferenceId(match["endpoint"], int(match["generation"]), match["variant"], match["uuid"])


def _text(number: int) -> str:
    h = f"{number:032x}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
