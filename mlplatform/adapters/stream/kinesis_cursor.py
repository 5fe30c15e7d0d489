"""A place in a shard of Kinesis from which it is read on, and what was read from there lately.

What was read is kept for a while: who asks again for the same records is not sent to Kinesis, which gives only so many
bytes a second. An iterator is renewed when it has expired, from the last record read.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mlplatform.adapters.stream.kinesis_aggregation import disaggregated
from mlplatform.adapters.stream.kinesis_api import KinesisApi
from mlplatform.errors import UnavailableError
from mlplatform.ports.stream import StoredRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OLDEST: Mapping[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
KEPT_BYTES = 16 * 1024 * 1024
"""Of memory, that the records kept take; the newest answer is kept whole, however large."""
RECORD_BYTES = 400
"""Of memory, that a record takes beside its data."""


class KinesisCursor:
    """Reads `shard` from `position` (as GetShardIterator takes it) on."""

    def __init__(self, api: KinesisApi, shard: str, position: Mapping[str, Any]) -> None:
        self._api = api
        self._shard = shard
        self._position = position
        self._iterator = ""
        self._records: list[StoredRecord] = []
        self._kept_bytes = 0
        self._start: str | None = None
        self._from_oldest = position is OLDEST
        self.last = ""
        """The newest sequence read, also where its record is not kept any more."""
        self.ended = False
        """Whether the shard is closed, and was read to its end."""

    @property
    def first(self) -> str:
        """The oldest sequence kept; "" where none is."""
        return self._records[0].sequence if self._records else ""

    @property
    def newest(self) -> str:
        """The newest sequence kept; "" where none is."""
        return self._records[-1].sequence if self._records else ""

    def covers(self, after: str) -> bool:
        """Whether all that lies behind `after` is here, or will be read on from here."""
        if not after:
            return self._from_oldest
        return self._start is not None and after >= self._start

    def stand_at(self, after: str) -> None:
        """Nothing lies behind `after` by now: what is read next comes after it."""
        self._start = after

    def behind(self, after: str, limit: int) -> list[StoredRecord]:
        """At most `limit` of the records kept that lie behind `after`, and what shares the last one's sequence."""
        begin = bisect_right(self._records, after, key=lambda record: record.sequence)
        found = self._records[begin : begin + limit]
        if not found or begin + limit >= len(self._records):
            return found
        end = bisect_right(self._records, found[-1].sequence, key=lambda record: record.sequence)
        return found + self._records[begin + limit : end]

    def extend(self) -> bool:
        """Read once; whether more is known to wait."""
        if self.ended:
            return False
        answer = self._asked()
        self._iterator = answer.get("NextShardIterator") or ""
        self.ended = not self._iterator
        before = len(self._records)
        self._take(answer["Records"])
        # Of the answer itself nothing goes before it was read: taken apart, its aggregates may be more than is kept.
        self._drop(min(self._too_many(), before))
        return bool(answer.get("MillisBehindLatest")) and not self.ended

    def forget(self, before: datetime) -> None:
        """Keep nothing that arrived earlier: retention takes it from the shard too."""
        self._drop(bisect_left(self._records, before, key=lambda record: record.arrived_at))

    def _asked(self) -> Mapping[str, Any]:
        for _ in range(3):
            iterator = self._iterator or self._api.iterator(self._shard, self._next())
            answer = self._api.records(self._shard, iterator)
            if answer is not None:
                return answer
            self._iterator = ""
        raise UnavailableError(
            f"Shard '{self._shard}' of stream '{self._api.name}': iterators expire as they are made."
        )

    def _next(self) -> Mapping[str, Any]:
        if not self.last:
            return self._position
        return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": self.last}

    def _take(self, records: Sequence[Mapping[str, Any]]) -> None:
        latest = self._records[-1].arrived_at if self._records else _EPOCH
        for record in records:
            # Kinesis's times may fall back by a little; by them the oldest of what waits is told.
            latest = max(latest, record["ApproximateArrivalTimestamp"].astimezone(UTC))
            for found in self._parts(record, latest):
                self._records.append(found)
                self._kept_bytes += len(found.data) + RECORD_BYTES
        if records:
            self.last = records[-1]["SequenceNumber"]
            self._start = records[0]["SequenceNumber"] if self._start is None else self._start

    def _parts(self, record: Mapping[str, Any], arrived_at: datetime) -> Iterator[StoredRecord]:
        """The record, or those that were put as this one. An empty aggregate is a record that nobody can read."""
        sequence, key, data = record["SequenceNumber"], record["PartitionKey"], record["Data"]
        parts = disaggregated(key, data)
        if not parts:
            yield StoredRecord(self._shard, sequence, key, data, arrived_at)
            return
        for number, part in enumerate(parts):
            yield StoredRecord(self._shard, sequence, part.key, part.data, arrived_at, f"{number:06d}")

    def _too_many(self) -> int:
        """How many of the oldest records are more than is kept; one stays always."""
        count, over_bytes = 0, self._kept_bytes - KEPT_BYTES
        while over_bytes > 0 and count < len(self._records) - 1:
            over_bytes -= len(self._records[count].data) + RECORD_BYTES
            count += 1
        return count

    def _drop(self, count: int) -> None:
        if count:
            self._kept_bytes -= sum(len(record.data) + RECORD_BYTES for record in self._records[:count])
            self._start = self._records[count - 1].sequence
            self._from_oldest = False
            del self._records[:count]
