"""Plans and receipts: what a batch will load, decided before a byte is written, and what became of it.

A plan is made from the guard's state, so that two plans for the same rows cannot both commit: the guard row of
(table, shard) is compared and set in the same transaction that adds the rows and the ledger row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class Guard:
    """State of the guard row of (table, shard).

    Attributes:
        last: the position loaded last (a stream's sequence, or a counter of loads for objects); "" before the first.
        epoch: the lease epoch that wrote it; a loader with a smaller epoch is stale and refused.
    """

    table: str
    shard: str
    last: str
    epoch: int


@dataclass(frozen=True)
class CsvFormat:
    """A declared CSV dialect; nothing is sniffed. Encoding is UTF-8."""

    type: Literal["csv"] = "csv"
    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    header: bool = True
    null: str = ""


@dataclass(frozen=True)
class JsonLinesFormat:
    """One JSON object a line. Lines that a stream's delivery wrote carry `_sequence` (see `ports.stream`)."""

    type: Literal["jsonl"] = "jsonl"


@dataclass(frozen=True)
class ParquetFormat:
    """Apache Parquet."""

    type: Literal["parquet"] = "parquet"


Format = CsvFormat | JsonLinesFormat | ParquetFormat


@dataclass(frozen=True)
class LoadPlan:
    """One object to load into one table, exactly once.

    Attributes:
        table: the table's name.
        shard: the guard row's name: ``stream/<stream>/<shard>`` for delivered ranges, ``objects/<prefix>`` for files.
        last: what the guard must hold for the plan to commit (compare).
        upto: what the guard holds afterwards (set); a stream's sequence, or the counter of loads plus one.
        epoch: the lease epoch of the loader; must be ≥ the guard's.
        key: the landing object's key in the object store.
        etag: its ETag when the plan was made.
        size_bytes: its size then.
        format: how to read it. A key that ends in ``.gz`` is gzip.
        supersedes: batch ids whose rows this load replaces in the same transaction (policy *replace*); their records
            that wait in quarantine are marked as replayed.
        skip_rows: leading records already loaded from an earlier ETag of the same key (policy *append*).
        appends_to: SHA-256 of the object as it was then; one that does not begin so is refused ("" = not asked).
        same_content: what to do when another key with the same bytes was loaded into this table before.
        refuse: why a policy refuses the object ("" = it does not); then only a ledger row is written.
        replays: quarantine ids that this load replays; they are marked so in the same transaction.
    """

    table: str
    shard: str
    last: str
    upto: str
    epoch: int
    key: str
    etag: str
    size_bytes: int
    format: Format
    supersedes: tuple[str, ...] = ()
    skip_rows: int = 0
    appends_to: str = ""
    same_content: Literal["refuse", "load"] = "load"
    refuse: str = ""
    replays: tuple[str, ...] = ()

    @property
    def stream(self) -> bool:
        """Whether the object is a delivered range of a stream's shard."""
        return self.shard.startswith("stream/")

    @property
    def batch_id(self) -> str:
        """Content id of the batch: the same object (key and ETag) planned for the same table from the same position."""
        text = "\x1f".join((self.table, self.shard, self.last, self.upto, self.key, self.etag))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


Outcome = Literal["loaded", "refused", "unparseable"]


@dataclass(frozen=True)
class Receipt:
    """What became of one source object: a ledger row. Always arrived = loaded + quarantined + duplicates + filtered.

    `arrived` is counted from the object's bytes, independently of the loader. `refused`: a policy said no (all its
    records count as duplicates; an object that nothing can read counts as one record). `unparseable`: quarantined whole
    (`arrived` and `quarantined` are 1, the object itself).

    `position` numbers the ledger rows of a table from 1, without gaps.
    """

    batch_id: str
    table: str
    shard: str
    last: str
    upto: str
    epoch: int
    key: str
    etag: str
    content_sha256: str
    outcome: Outcome
    arrived: int
    loaded: int
    quarantined: int
    duplicates: int
    filtered: int
    loaded_at: datetime
    reason: str = ""
    event_time_min: str | None = None
    event_time_max: str | None = None
    position: int = 0

    def balanced(self) -> bool:
        """Whether every record that arrived is accounted for."""
        return self.arrived == self.loaded + self.quarantined + self.duplicates + self.filtered


@dataclass(frozen=True)
class QuarantinedRecord:
    """A record that did not fit.

    `raw` is its bytes as they arrived (a Parquet row: as a JSON object), `offset` its record number (from 1) or sequence.
    An object quarantined whole has no offset, and as `raw` its first bytes (it is still in the object store). `columns`
    names the fields of a CSV record in order, so that it can be read again; empty for other formats.
    """

    quarantine_id: str
    batch_id: str
    table: str
    source: str
    offset: str
    reason: str
    raw: bytes
    quarantined_at: datetime
    replayed_at: datetime | None = None
    columns: tuple[str, ...] = field(default=())
