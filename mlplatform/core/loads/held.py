"""Whether an object holds something of a data subject, in whatever format and state it is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Literal

from mlplatform.core.loads.csv_header import HEAD_BYTES, csv_columns
from mlplatform.core.loads.csv_records import csv_segments
from mlplatform.core.loads.json_lines import UNPARSED
from mlplatform.core.loads.plan import CsvFormat, Format, JsonLinesFormat, ParquetFormat
from mlplatform.core.loads.raw_text import is_text, is_wide, unpacked
from mlplatform.core.loads.subject import Subject
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import DataError

Held = Literal["yes", "no", "unknown"]
"""``unknown``: it cannot be read, and does not name the subject as far as it can be searched."""

_CHUNK_BYTES = 4 * 1024 * 1024
_PARQUET = b"PAR1"
_WRITTEN_OTHERWISE = ("\\u", UNPARSED)
"""Marks of JSON lines in which a text may stand escaped or encoded."""


def held(data: bytes, format: Format | None, schema: TableSchema, subject: Subject) -> Held:  # noqa: A002
    """Whether an object of these bytes does. It is read as `format` says; what of it cannot be is searched for the value."""
    plain, damaged = unpacked(data)
    if isinstance(format, ParquetFormat) or plain.startswith(_PARQUET):
        found = _in_parquet(plain, subject)
    elif isinstance(format, CsvFormat):
        found = _in_csv(plain, format, schema, subject)
    elif isinstance(format, JsonLinesFormat) and not is_wide(plain):
        found = _any(subject.in_record(line, None, ()) for line in _lines(plain, subject))
    else:
        found = _searched(plain, subject)
    return "unknown" if damaged and found == "no" else found


def _lines(data: bytes, subject: Subject) -> Iterator[bytes]:
    """Lines that may be the subject's: they hold one of its texts, or something that is written otherwise."""
    texts = (
        [text.encode() for text in (*subject.texts, *subject.masks, *_WRITTEN_OTHERWISE)] if subject.texts else [b""]
    )
    for line in data.split(b"\n"):
        if line.strip() and any(text in line for text in texts):
            yield line


def _in_csv(data: bytes, format: CsvFormat, schema: TableSchema, subject: Subject) -> Held:  # noqa: A002
    try:
        columns = csv_columns(data[:HEAD_BYTES], format, schema)
    except DataError:
        return _searched(data, subject)
    texts = [text.encode() for text in subject.texts]
    header, end = format.header, 0
    pieces = (data[at : at + _CHUNK_BYTES] for at in range(0, len(data), _CHUNK_BYTES))
    try:
        for segment in csv_segments(pieces, format, single_column=len(columns) == 1):
            end = segment.start + len(segment.data)
            first, header = (1, False) if header and len(segment.starts) else (0, header)
            if texts and not any(text in segment.data for text in texts):
                continue
            for start, stop in zip(segment.starts[first:].tolist(), segment.ends[first:].tolist(), strict=True):
                record = segment.data[start:stop].removeprefix(b"\xef\xbb\xbf")
                if subject.in_record(record, format, columns):
                    return "yes"
    except DataError:
        return _searched(data[end:], subject)
    return "no"


def _in_parquet(data: bytes, subject: Subject) -> Held:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(data))
        if subject.column in file.schema_arrow.names:
            return _any(map(subject.is_value, file.read(columns=[subject.column]).column(0).to_pylist()))
        values = (str(value) for column in file.read().columns for value in column.to_pylist() if value is not None)
        return _any(subject.is_named_in(value.encode()) for value in values)
    except (pa.ArrowException, OSError):
        return "yes" if subject.is_named_in(data) else "unknown"


def _searched(data: bytes, subject: Subject) -> Held:
    if subject.is_named_in(data):
        return "yes"
    return "no" if is_text(data) else "unknown"


def _any(found: Iterator[bool]) -> Held:
    return "yes" if any(found) else "no"
