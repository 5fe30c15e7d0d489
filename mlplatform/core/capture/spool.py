"""The spool: where a worker keeps captured requests until a drainer makes landing objects of them.

    <spool>/<system>/<endpoint>/<worker>-<segment>.open     being written, by one worker alone
                                <worker>-<segment>.jsonl    closed: will not change again
                                <worker>.count              two numbers (below), mapped into the worker's memory

`worker` is the process's name (pid and start time), so that a drainer knows who is dead; the open segment of a dead
worker is closed as well, a torn last line and all. A segment's first line is its header, ``{"after": n}``: the last
sequence that earlier segments of this worker hold. So holes are counted segment by segment, in any order.

The count file holds the last sequence *given out* and the last one *written and fsynced*. It is a shared mapping: what
a worker stored there outlives a ``kill -9``, so that the requests lost with its memory are counted too.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

NUMBER = struct.Struct("<Q")
GIVEN_AT, WRITTEN_AT, COUNT_BYTES = 0, NUMBER.size, 2 * NUMBER.size
"""Offsets in a count file, and its size. Two threads write, one each; so each number is stored alone."""

OPEN, CLOSED, COUNT = ".open", ".jsonl", ".count"
_SEGMENT = re.compile(r"(?P<worker>\d+-\d+)-(?P<number>\d{8})\.(open|jsonl)")


@dataclass(frozen=True)
class SegmentName:
    """Who wrote a segment, and as which of its own."""

    worker: str
    number: int

    def __str__(self) -> str:
        return f"{self.worker}-{self.number:08d}"


def parse_segment(name: str) -> SegmentName | None:
    """The segment that a file name says, or None."""
    match = _SEGMENT.fullmatch(name)
    return SegmentName(match["worker"], int(match["number"])) if match else None


def holes(after: int, sequences: list[int]) -> int:
    """How many sequences are missing behind `after` and before the last of `sequences` (ascending)."""
    return sequences[-1] - after - len(sequences) if sequences else 0
