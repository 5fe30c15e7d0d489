"""Where CSV records begin and end, from the bytes alone: a parser of its own, to hold the engine's against.

A quote opens a field only right behind a delimiter or a record's end (RFC 4180); anywhere else it is text. A line end
inside a quoted field belongs to it. A line without any byte is no record, unless the table has a single column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.loads.remedy import CLOSE_QUOTE
from mlplatform.errors import DataError

Positions = npt.NDArray[np.int64]

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""A record longer than this is taken for a quote that never closes."""

_NEWLINE = 0x0A
_RETURN = 0x0D


@dataclass(frozen=True)
class Segment:
    """Whole records: `data` begins at byte `start` of the file; record i is ``data[starts[i]:ends[i]]``, line end left out."""

    start: int
    data: bytes
    starts: Positions
    ends: Positions


class CsvRecords:
    """Cuts chunks of a CSV file into records; `feed` every chunk, then `finish`."""

    def __init__(self, format: CsvFormat, *, single_column: bool = False, start: int = 0) -> None:  # noqa: A002
        self._delimiter = format.delimiter.encode()
        self._quote = format.quote.encode()
        self._doubled = format.quote == format.escape
        self._escape = format.escape.encode()
        self._blank_is_record = single_column
        self._position = start
        self._carry = b""

    def feed(self, chunk: bytes) -> Segment | None:
        """The records that end in what was fed so far and were not returned yet."""
        data = self._carry + chunk if self._carry else chunk
        ends = self._line_ends(data)
        if not len(ends):
            if len(data) > MAX_RECORD_BYTES:
                raise DataError(self._endless(f"longer than {MAX_RECORD_BYTES} bytes"), next_step=CLOSE_QUOTE)
            self._carry = data
            return None
        cut = int(ends[-1]) + 1
        self._carry = data[cut:]
        return self._segment(data[:cut], ends)

    def finish(self) -> Segment | None:
        """The last record, if the file does not end in a line end. Raises DataError where a quote never closes."""
        if not self._carry:
            return None
        data = self._carry + b"\n"
        ends = self._line_ends(data)
        if not len(ends) or int(ends[-1]) != len(data) - 1:
            raise DataError(self._endless("which reaches the end of the file"), next_step=CLOSE_QUOTE)
        self._carry = b""
        return self._segment(data, ends)

    def _endless(self, how: str) -> str:
        return f"a quote opens in the record at byte {self._position} and never closes, {how}"

    def _line_ends(self, data: bytes) -> Positions:
        """Positions of the line ends in `data` (which begins outside quotes) that end a record."""
        array = np.frombuffer(data, np.uint8)
        newlines: Positions = np.flatnonzero(array == _NEWLINE)
        if not self._quote or self._quote not in data:
            return newlines
        quotes = np.flatnonzero(array == self._quote[0])
        if self._doubled and self._regular(array, quotes):
            outside: Positions = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
            return outside
        return self._walk(data, array, quotes, newlines)

    def _regular(self, array: npt.NDArray[np.uint8], quotes: Positions) -> bool:
        """Whether counting quotes alone tells inside from outside: every one opens, closes or is doubled at its place."""
        if len(self._delimiter) > 1:
            return False
        before = array[quotes - 1]
        opens = np.isin(before, (self._delimiter[0], _NEWLINE, self._quote[0])) | (quotes == 0)
        last = len(array) - 1
        after = array[np.minimum(quotes + 1, last)]
        closes = np.isin(after, (self._delimiter[0], _NEWLINE, _RETURN, self._quote[0])) | (quotes == last)
        return bool(np.all(opens[0::2])) and bool(np.all(closes[1::2]))

    def _walk(self, data: bytes, array: npt.NDArray[np.uint8], quotes: Positions, newlines: Positions) -> Positions:
        """The same, mark by mark, for files whose quotes stand where they should not, or with an escape of its own."""
        marks = [quotes, newlines]
        if not self._doubled and self._escape:
            marks.append(np.flatnonzero(array == self._escape[0]))
        ends: list[int] = []
        inside, skip = False, -1
        for mark in np.unique(np.concatenate(marks)).tolist():
            byte = data[mark : mark + 1]
            if mark == skip:
                continue
            if byte == b"\n" and not inside:
                ends.append(mark)
            elif inside and not self._doubled and byte == self._escape:
                skip = mark + 1
            elif byte == self._quote:
                if not inside:
                    inside = mark == 0 or data[mark - 1 : mark] == b"\n" or data.endswith(self._delimiter, 0, mark)
                elif self._doubled and data[mark + 1 : mark + 2] == self._quote:
                    skip = mark + 1
                else:
                    inside = False
        return np.array(ends, np.int64)

    def _segment(self, data: bytes, line_ends: Positions) -> Segment:
        array = np.frombuffer(data, np.uint8)
        starts = np.concatenate((np.zeros(1, np.int64), line_ends[:-1] + 1))
        returned = (line_ends > starts) & (array[np.maximum(line_ends - 1, 0)] == _RETURN)
        ends = line_ends - returned
        if not self._blank_is_record:
            some = ends > starts
            if not np.all(some):
                starts, ends = starts[some], ends[some]
        segment = Segment(self._position, data, starts, ends)
        self._position += len(data)
        return segment


def csv_segments(chunks: Iterable[bytes], format: CsvFormat, *, single_column: bool) -> Iterator[Segment]:  # noqa: A002
    """Segments of whole records over all of `chunks`."""
    records = CsvRecords(format, single_column=single_column)
    for chunk in chunks:
        if (segment := records.feed(chunk)) is not None:
            yield segment
    if (segment := records.finish()) is not None:
        yield segment
