"""Whether an object begins with the bytes that were loaded from it before."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from mlplatform.core.loads.csv_records import csv_segments
from mlplatform.core.loads.plan import CsvFormat

_CHUNK_BYTES = 4 * 1024 * 1024
_BLANKS = b"\r\n\t "
_LONGEST_GAP_BYTES = 64 * 1024
_LINES = CsvFormat(quote="", escape="", header=False)


def begins_with(
    path: Path, dialect: CsvFormat | None, *, records: int, sha256: str, single_column: bool = False
) -> bool:
    """Whether the first `records` records (JSON lines where `dialect` is None), with some of the blanks behind them, have
    that hash: the object was `records` long then, and only grew."""
    end = _end(path, dialect, records, single_column=single_column)
    if end is None:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = end
        while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
            digest.update(chunk)
            left -= len(chunk)
        gap = file.read(_LONGEST_GAP_BYTES)
    for index in range(len(gap) + 1):
        if digest.hexdigest() == sha256:
            return True
        blank = gap[index : index + 1]
        if not blank or blank not in _BLANKS:
            return False
        digest.update(blank)
    return False


def _end(path: Path, dialect: CsvFormat | None, records: int, *, single_column: bool) -> int | None:
    """Where the record with that number ends, its line end left out; None where there are fewer."""
    left = records + (1 if dialect is not None and dialect.header else 0)
    if left == 0:
        return 0
    with path.open("rb") as file:
        for segment in csv_segments(
            iter(partial(file.read, _CHUNK_BYTES), b""), dialect or _LINES, single_column=single_column
        ):
            ends = segment.ends
            if dialect is None:
                text = [bool(segment.data[s:e].strip()) for s, e in zip(segment.starts, segment.ends, strict=True)]
                ends = ends[text]
            if left <= len(ends):
                return segment.start + int(ends[left - 1])
            left -= len(ends)
    return None
