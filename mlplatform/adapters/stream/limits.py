"""What one put of a stream takes, checked before anything is sent or stored: Kinesis's limits, which the embedded stream has too."""

from __future__ import annotations

from collections.abc import Sequence

from mlplatform.errors import DataError
from mlplatform.ports.stream import PutResult, Record, StreamCapabilities

MAX_KEY_CHARACTERS = 256


def check_put(stream: str, records: Sequence[Record], limits: StreamCapabilities) -> None:
    """Raises DataError where one call does not take so many records, or so many bytes."""
    if len(records) > limits.max_records_per_put:
        raise DataError(
            f"A put on stream '{stream}' takes {limits.max_records_per_put} records, found {len(records)}.",
            next_step="Put them in several calls.",
        )
    size_bytes = sum(_size_bytes(record) for record in records)
    if size_bytes > limits.max_bytes_per_put:
        raise DataError(
            f"A put on stream '{stream}' takes {limits.max_bytes_per_put} bytes, found {size_bytes}.",
            next_step="Put them in several calls.",
        )


def checked(record: Record, limits: StreamCapabilities) -> PutResult:
    """An empty result, or why `record` alone cannot be stored."""
    if not 0 < len(record.key) <= MAX_KEY_CHARACTERS or not _is_text(record.key):
        found = f"found {len(record.key)}: {record.key[:40]!r}"
        return PutResult(
            error_code="bad_key", error_message=f"A key has 1 to {MAX_KEY_CHARACTERS} characters of text, {found}."
        )
    if _size_bytes(record) > limits.max_record_bytes:
        return PutResult(
            error_code="record_too_large",
            error_message=f"Key and data may have {limits.max_record_bytes} bytes, found {_size_bytes(record)}.",
        )
    return PutResult()


def _is_text(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _size_bytes(record: Record) -> int:
    return len(record.data) + len(record.key.encode(errors="replace"))
