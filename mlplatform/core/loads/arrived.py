"""How many records an object holds, counted from its bytes and without the engine that loads it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlplatform.core.loads.csv_records import CsvRecords, Segment
from mlplatform.core.loads.plan import CsvFormat

_NEWLINE, _SPACE = 0x0A, 0x20


class Arrived:
    """Counts what it is fed: records of CSV (the header is none), or lines that are not blank of JSON lines (`format` None)."""

    def __init__(self, format: CsvFormat | None, *, single_column: bool = False) -> None:  # noqa: A002
        self._csv = format
        self._records = 0
        self._consumed = 0
        self._tail = b""
        self._quote = format.quote.encode() if format else b""
        self._single = single_column
        self._slow: CsvRecords | None = None

    def feed(self, chunk: bytes) -> None:
        if self._slow is not None:
            self._add(self._slow.feed(chunk))
            return
        data = self._tail + chunk if self._tail else chunk
        cut = data.rfind(b"\n") + 1
        array = np.frombuffer(data, np.uint8)
        line_ends = array == _NEWLINE
        blank = _may_have_blank_line(array, line_ends)
        if self._csv is not None and ((self._quote and self._quote in data) or blank):
            self._slow = CsvRecords(self._csv, single_column=self._single, start=self._consumed)
            self._add(self._slow.feed(data))
            return
        self._tail = data[cut:]
        self._consumed += cut
        if self._csv is None and blank:
            self._records += sum(1 for line in data[:cut].split(b"\n") if line.strip())
        else:
            self._records += int(np.count_nonzero(line_ends))

    def finish(self) -> int:
        """Records over all. Raises DataError where a quote never closes."""
        if self._slow is not None:
            self._add(self._slow.finish())
        elif self._tail.strip():
            self._records += 1
        self._tail = b""
        return self._records - (1 if self._csv is not None and self._csv.header and self._records else 0)

    def _add(self, segment: Segment | None) -> None:
        self._records += 0 if segment is None else len(segment.starts)


def _may_have_blank_line(array: npt.NDArray[np.uint8], line_ends: npt.NDArray[np.bool_]) -> bool:
    """Whether a line begins with a blank or another byte below it: the few that do are looked at one by one."""
    low = array <= _SPACE
    return bool(len(array)) and bool(low[0] or np.any(line_ends[:-1] & low[1:]))
