"""The last part of inference ids (`core.rollout.inference_id`).

The UUID is a version 7 (RFC 9562: time, then random), or, where the caller named the request, a version 8 made of the
request id and body: a retry answered by the same generation is the same inference.
"""

from __future__ import annotations

import hashlib
import random
import time

_VERSION_7 = 7 << 76 | 2 << 62
_VERSION_8 = 8 << 76 | 2 << 62
_RANDOM = ((1 << 12) - 1) << 64 | (1 << 62) - 1
_bits = random.Random().getrandbits  # noqa: S311 - ids need to differ, not to be secret


def uuid7() -> str:
    """A new UUID of version 7."""
    return _text(time.time_ns() // 1_000_000 << 80 | _bits(128) & _RANDOM | _VERSION_7)


def named_uuid(request_id: str, body: bytes) -> str:
    """The UUID (version 8) of a request that its caller named: SHA-256 of the name and the body."""
    digest = hashlib.sha256(request_id.encode() + b"\0" + body).digest()
    number = int.from_bytes(digest[:16])
    return _text(number & ~(15 << 76 | 3 << 62) | _VERSION_8)


def _text(number: int) -> str:
    h = f"{number:032x}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
