"""One worker's spool of one endpoint: the segment being written, and the counts that outlive a kill."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import BinaryIO

import msgspec

from mlplatform.core.capture.spool import CLOSED, COUNT, COUNT_BYTES, GIVEN_AT, NUMBER, OPEN, WRITTEN_AT, SegmentName

SEGMENT_BYTES = 4 * 1024 * 1024
SEGMENT_AGE_S = 1.0


class CaptureSpool:
    """`next_sequence` is called on the event loop's thread, everything else on the writer's."""

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._worker = worker
        self._number = 0
        self._file: BinaryIO | None = None
        self._opened_at = 0.0
        self._written = 0
        self._given = 0
        path = folder / f"{worker}{COUNT}"
        with path.open("w+b") as file:
            file.write(bytes(COUNT_BYTES))
            file.flush()
            self._counts = mmap.mmap(file.fileno(), COUNT_BYTES)

    def next_sequence(self) -> int:
        """Give out the next sequence; counted from now on, whatever becomes of this process."""
        self._given += 1
        NUMBER.pack_into(self._counts, GIVEN_AT, self._given)
        return self._given

    def write(self, lines: bytes, last: int, *, now: float) -> None:
        """Append lines up to sequence `last` and fsync them. After an OSError none of them is there."""
        if self._file is None:
            self._number += 1
            self._opened_at = now
            self._file = self._path(OPEN).open("xb", buffering=0)
            lines = msgspec.json.encode({"after": self._written}) + b"\n" + lines
        start = self._file.tell()
        try:
            view = memoryview(lines)
            while view:
                view = view[self._file.write(view) :]
            os.fdatasync(self._file.fileno())
        except OSError:
            self._file.truncate(start)
            self._file.seek(start)
            raise
        self._written = last
        NUMBER.pack_into(self._counts, WRITTEN_AT, last)

    def close_when_due(self, *, now: float, force: bool = False) -> None:
        """Close the segment that is large or old enough, so that a drainer takes it."""
        if self._file is None:
            return
        if force or now - self._opened_at >= SEGMENT_AGE_S or self._file.tell() >= SEGMENT_BYTES:
            self._file.close()
            self._file = None
            self._path(OPEN).rename(self._path(CLOSED))

    def close(self) -> None:
        """Close the segment; the count file stays for the drainer, who removes it."""
        self.close_when_due(now=0.0, force=True)
        self._counts.close()

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{SegmentName(self._worker, self._number)}{suffix}"
