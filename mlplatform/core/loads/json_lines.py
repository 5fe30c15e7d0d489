"""JSON lines as an engine reads them: number, bytes, and text where the bytes are UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

SEQUENCE, UNPARSED, ERROR, FILTERED = "_sequence", "_unparsed", "_error", "_filtered"
"""Fields that a stream's delivery adds to a line; everything else in a line is the record's own."""

DELIVERY_FIELDS = (SEQUENCE, UNPARSED, ERROR, FILTERED)

_TYPES: dict[str, pa.DataType] = {"number": pa.int64(), "raw": pa.binary(), "line": pa.string()}

SCHEMA = pa.schema(_TYPES)


def line_batches(chunks: Iterable[bytes]) -> Iterator[pa.RecordBatch]:
    """Batches of (number from 1, raw bytes, text or NULL where they are not UTF-8); blank lines are no records."""
    carry, number = b"", 1
    for chunk in chunks:
        data = carry + chunk if carry else chunk
        cut = data.rfind(b"\n") + 1
        carry = data[cut:]
        lines = _lines(data[:cut])
        if lines:
            yield _batch(lines, number)
            number += len(lines)
    if lines := _lines(carry):
        yield _batch(lines, number)


def _lines(data: bytes) -> list[bytes]:
    return [stripped for line in data.split(b"\n") if (stripped := line.strip())]


def _batch(lines: list[bytes], first: int) -> pa.RecordBatch:
    raw = pa.array(lines, pa.binary())
    try:
        text = raw.cast(pa.string())
    except pa.ArrowInvalid:
        text = pa.array([_text(line) for line in lines], pa.string())
    return pa.record_batch([pa.array(range(first, first + len(lines)), pa.int64()), raw, text], schema=SCHEMA)


def _text(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None
