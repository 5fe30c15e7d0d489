"""Stream: records put by key, ordered within a shard, read by any number of consumers from any position.

Delivery (Firehose's role) writes what it reads to landing objects as JSON lines, one record a line: `core.loads.landing`
says how they look and what they are called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Record:
    """A record to put: `key` chooses the shard, `data` is opaque."""

    key: str
    data: bytes


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as read: `sequence` sorts as a string within its shard; strings are opaque and may have gaps.

    A producer may have put several as one (an aggregate): they share its sequence, and `within` tells them apart.
    """

    shard: str
    sequence: str
    key: str
    data: bytes
    arrived_at: datetime
    within: str = ""

    @property
    def name(self) -> str:
        """What tells the record from all others of its shard, and begins with its sequence."""
        return f"{self.sequence}.{self.within}" if self.within else self.sequence


@dataclass(frozen=True)
class PutResult:
    """Outcome of one record of a put: shard and sequence, or the error's code and message (then the record is not stored)."""

    shard: str = ""
    sequence: str = ""
    error_code: str = ""
    error_message: str = ""


@dataclass(frozen=True)
class StreamCapabilities:
    """Limits of a stream, Kinesis's by default.

    `counts`: whether it knows how many records a shard holds, and how many of them retention took. `trims`: whether `trim`
    removes what is too old; else the service does so by itself.
    """

    max_record_bytes: int = 1024 * 1024
    max_records_per_put: int = 500
    max_bytes_per_put: int = 5 * 1024 * 1024
    partial_failure: bool = True
    counts: bool = True
    trims: bool = True
    durability: str = ""


@dataclass(frozen=True)
class ShardState:
    """A shard's ends: `oldest` and `newest` stored sequence ("" while empty), and how many records lie between.

    Of a stream that does not count, only the newest is known. `parents`: shards that this one was made from, whose records
    come before its own.
    """

    shard: str
    oldest: str | None
    newest: str
    records: int | None
    parents: tuple[str, ...] = ()


class Stream(Protocol):
    """One stream. Several processes may put and read at once."""

    @property
    def capabilities(self) -> StreamCapabilities: ...

    def put(self, records: Sequence[Record]) -> list[PutResult]:
        """Store up to `max_records_per_put` records; results in the order given. Durable when it returns.

        A record that is too large fails alone (its result carries the error); the others are stored.

        Raises:
            DataError: more records or bytes than one put takes.
        """
        ...

    def shards(self) -> list[ShardState]:
        """All shards that can be read, by name; parents come before what was made from them."""
        ...

    def read(self, shard: str, *, after: str = "", limit: int = 1000) -> list[StoredRecord]:
        """Records of `shard` behind sequence `after` ("" = from the oldest kept), in order, at most `limit`.

        There may be fewer (an adapter bounds the bytes of a read); none means that there is none yet. Records that share a
        sequence come together, which may be more.

        Raises:
            NotFoundError: no such shard.
            StateError: records behind `after` were already trimmed by retention; the message says how many are gone. A
                stream that does not count cannot tell whether some were: it raises where the record at `after` is gone.
            ConflictError: the shard has never reached `after`: it is another stream's position, or an older copy.
        """
        ...

    def trim(self, *, now: datetime, delivered: Mapping[str, str] | None = None) -> int:
        """Remove what is older than the retention; how many records went, 0 where the stream trims by itself.

        `delivered`: by shard the sequence up to which records are safe elsewhere; what lies behind it stays, however old.
        A shard that is not named is trimmed by age alone.
        """
        ...
