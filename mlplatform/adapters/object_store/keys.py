"""What a key may be, the same in every object store, so that objects can move from one to another."""

from __future__ import annotations

from mlplatform.errors import DataError

MAX_KEY_BYTES = 1024
MAX_SEGMENT_BYTES = 255


def check_key(key: str) -> None:
    """Raises DataError unless `key` is relative, and every segment is a plain visible name."""
    segments = key.split("/")
    try:
        size, longest = len(key.encode()), max(len(segment.encode()) for segment in segments)
    except UnicodeEncodeError:
        raise _refused(key, "text that UTF-8 can hold") from None
    if size > MAX_KEY_BYTES or longest > MAX_SEGMENT_BYTES:
        raise _refused(f"{key[:60]}…", f"at most {MAX_KEY_BYTES} bytes, {MAX_SEGMENT_BYTES} a segment")
    if not key.isprintable() and any(ord(c) < 32 or ord(c) == 127 for c in key):
        raise _refused(key, "no control characters")
    if not all(segments):
        raise _refused(key, "names between single '/', none at the ends")
    if any(segment.startswith(".") for segment in segments):
        raise _refused(key, "no segment that starts with '.' (such names are copies under way)")


def check_prefix(prefix: str) -> None:
    """Raises DataError for a prefix that no key can have; "" and half a segment are fine."""
    if prefix:
        check_key(f"{prefix}x" if prefix.endswith("/") else prefix)


def _refused(key: str, expected: str) -> DataError:
    return DataError(f"Key {key!r} cannot name an object; expected {expected}.", next_step="Choose another key.")
