"""Where a text stands in a folder: in the bytes of files, in cells of databases, in columns of Parquet, packed or not."""

from __future__ import annotations

import base64
import gzip
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def traces(root: Path, marks: Sequence[str]) -> list[str]:
    """Files under `root` that hold one of `marks`, in their text, relative to it; in order."""
    wanted = [form for mark in marks for form in _forms(mark.encode())]
    files = sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink())
    return [str(p.relative_to(root)) for p in files if any(_holds(text, wanted) for text in _texts(p))]


def _forms(mark: bytes) -> list[bytes]:
    """The mark, and what of it stands in base64 wherever it begins."""
    shifted = [base64.b64encode(b"\0" * k + mark) for k in range(3)]
    return [mark, *(text[begin:-4] for text, begin in zip(shifted, (0, 2, 3), strict=True))]


def _holds(text: bytes, wanted: Sequence[bytes]) -> bool:
    low = text.lower()
    return any(mark.lower() in low for mark in wanted)


def _texts(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data
    if data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    if data[:4] == b"PAR1":
        yield from _parquet(path)
    if data[:15] == b"SQLite format 3":
        yield from _sqlite(path)


def _parquet(path: Path) -> Iterator[bytes]:
    import pyarrow.parquet as pq

    yield repr(pq.ParquetFile(path).read().to_pylist()).encode()


def _sqlite(path: Path) -> Iterator[bytes]:
    """Cells that are packed: what is plain stands in the file's bytes."""
    connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield from _cells(row)
    finally:
        connection.close()


def _cells(row: Sequence[Any]) -> Iterator[bytes]:
    for cell in row:
        yield str(cell).encode()
        if isinstance(cell, bytes):
            try:
                yield zlib.decompress(cell)
            except zlib.error:
                yield cell
