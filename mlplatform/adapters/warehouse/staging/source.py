"""A source object as a plain local file: fetched and unzipped where it must be, hashed and counted in one pass."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast

from mlplatform.core.loads.arrived import Arrived
from mlplatform.core.loads.plan import CsvFormat, LoadPlan, ParquetFormat
from mlplatform.core.loads.remedy import UPLOAD_AGAIN
from mlplatform.errors import ConflictError, DataError, NotFoundError
from mlplatform.ports.object_store import ObjectStore

CHUNK_BYTES = 4 * 1024 * 1024


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass
class Source:
    """`path` holds the object's plain bytes; `count` waits for the pass over them."""

    path: Path
    sha256: str = ""
    arrived: int = 0
    error: Exception | None = None
    _pass: threading.Thread | None = field(default=None, repr=False)

    def count(self) -> int:
        """Records in the object; `sha256` is known then. Raises DataError where the bytes cannot be what they should be."""
        if self._pass is not None:
            self._pass.join()
            self._pass = None
        if self.error is not None:
            raise self.error
        return self.arrived


def fetch(plan: LoadPlan, store: ObjectStore, scratch: Path, *, single_column: bool) -> Source:
    """The plan's object. A plain file of this machine is read where it lies, beside what reads it meanwhile.

    Raises:
        NotFoundError: the object is gone.
        ConflictError: it is not the one that was planned.
    """
    check_unchanged(plan, store)
    url = store.url(plan.key)
    counter = None if isinstance(plan.format, ParquetFormat) else _counter(plan, single_column)
    if "://" not in url and not plan.key.endswith(".gz"):
        source = Source(Path(url))
        source._pass = threading.Thread(target=_pass_over, args=(source, counter), name="count", daemon=True)
        source._pass.start()
        return source
    source = Source(scratch / "object")
    _copy(plan, store, source, counter)
    return source


def check_unchanged(plan: LoadPlan, store: ObjectStore) -> None:
    """That the object still is the one that was planned."""
    found = store.head(plan.key)
    if found is None:
        raise NotFoundError(
            f"Object '{plan.key}' is gone; it was planned for table '{plan.table}'.",
            next_step="Nothing was loaded; put it back, or leave it: it is not planned again.",
        )
    if found.etag != plan.etag:
        raise ConflictError(
            f"Object '{plan.key}' changed since it was planned for table '{plan.table}': expected ETag {plan.etag}, "
            f"found {found.etag}.",
            next_step="Nothing was loaded; plan again.",
        )


def chunks(file: _Readable) -> Iterator[bytes]:
    """The file's bytes, a few MiB at a time."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _counter(plan: LoadPlan, single_column: bool) -> Arrived:
    return Arrived(plan.format if isinstance(plan.format, CsvFormat) else None, single_column=single_column)


def _pass_over(source: Source, counter: Arrived | None) -> None:
    digest = hashlib.sha256()
    try:
        with source.path.open("rb", buffering=0) as file:
            for chunk in chunks(file):
                digest.update(chunk)
                if counter is not None:
                    counter.feed(chunk)
        source.sha256 = digest.hexdigest()
        source.arrived = counter.finish() if counter is not None else parquet_rows(source.path)
    except (OSError, DataError) as error:
        source.sha256 = source.sha256 or _sha256(source.path)
        source.error = error


def _copy(plan: LoadPlan, store: ObjectStore, source: Source, counter: Arrived | None) -> None:
    with store.open(plan.key) as stored, source.path.open("wb") as target:
        hashing = _Hashing(stored)
        plain: _Readable = gzip.GzipFile(fileobj=cast("IO[bytes]", hashing)) if plan.key.endswith(".gz") else hashing
        try:
            for chunk in chunks(plain):
                target.write(chunk)
                if counter is not None and source.error is None:
                    _feed(source, counter, chunk)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            source.error = DataError(f"the object is no whole gzip file: {error}", next_step=UPLOAD_AGAIN)
        hashing.drain()
    source.sha256 = hashing.digest.hexdigest()
    if source.error is None:
        try:
            source.arrived = counter.finish() if counter is not None else parquet_rows(source.path)
        except DataError as error:
            source.error = error


def _feed(source: Source, counter: Arrived, chunk: bytes) -> None:
    try:
        counter.feed(chunk)
    except DataError as error:
        source.error = error


def parquet_rows(path: Path) -> int:
    """Rows that the file's footer promises."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.ParquetFile(path).metadata.num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"the object is no whole Parquet file: {error}", next_step=UPLOAD_AGAIN) from error


def _sha256(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Hashing:
    """A stream that hashes what is read from it."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._inner.read(size)
        self.digest.update(data)
        return data

    def drain(self) -> None:
        for _ in chunks(self):
            pass


def fsync(path: Path) -> None:
    """Makes the file and its entry in the folder durable."""
    for target in (path, path.parent):
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
