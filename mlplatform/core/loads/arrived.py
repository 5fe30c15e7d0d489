"""How many records an object holds, counted from its bytes and without the engine that loads it."""

from __future__ import annotations

from mlplatform.core.loads.csv_records import CsvRecords, Segment
from mlplatform.core.loads.plan import CsvFormat


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
        if self._csv is not None and ((self._quote and self._quote in data) or _has_blank_line(data)):
            self._slow = CsvRecords(self._csv, single_column=self._single, start=self._consumed)
            self._add(self._slow.feed(data))
            return
        self._tail = data[cut:]
        self._consumed += cut
        if self._csv is None and _has_blank_line(data):
            self._records += sum(1 for line in data[:cut].split(b"\n") if line.strip())
        else:
            self._records += data.count(b"\n", 0, cut)

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


def _has_blank_line(data: bytes) -> bool:
    return data[:1] in (b"\n", b"\r", b" ", b"\t") or any(mark in data for mark in (b"\n\n", b"\n\r", b"\n ", b"\n\t"))
