"""Kinesis's calls that a stream needs, with errors mapped: what goes out, and at which pace.

A shard answers five reads a second, for all who read it together; who asks more often is refused and waits longer.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mlplatform.adapters.aws.errors import aws_mapped, error_code
from mlplatform.errors import DataError, NotFoundError, PlatformError
from mlplatform.ports.stream import Record

EXPIRED = "ExpiredIteratorException"
MIN_RETENTION_H = 24
MAX_RETENTION_H = 8760
_KINDS: dict[str, type[PlatformError]] = {"InvalidArgumentException": DataError}
_STEPS: dict[type[PlatformError], str] = {
    NotFoundError: "Make the stream, or let it be made by 'create: true' in the connection's settings."
}

T = TypeVar("T")


@dataclass(frozen=True)
class KinesisShardInfo:
    """A shard as it is listed: the sequences it may hold ("" as its end while it is open), and what it was made from."""

    shard: str
    starting: str
    ending: str
    parents: tuple[str, ...]


class KinesisApi:
    """The stream `name`; `reads_per_s` of each shard at most."""

    def __init__(self, client: Any, name: str, *, reads_per_s: float) -> None:
        self._client = client
        self.name = name
        self._pause_s = 1 / reads_per_s
        self._free_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def create(self, shards: int, retention_h: float) -> None:
        """Make the stream, and wait until it can be used; no error where another process makes it."""
        hours = min(math.ceil(retention_h), MAX_RETENTION_H)
        with self._mapped():
            with contextlib.suppress(self._client.exceptions.ResourceInUseException):
                self._client.create_stream(StreamName=self.name, ShardCount=shards)
            waiter = self._client.get_waiter("stream_exists")
            waiter.wait(StreamName=self.name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
            if hours > MIN_RETENTION_H:
                self._client.increase_stream_retention_period(StreamName=self.name, RetentionPeriodHours=hours)

    def retention_h(self) -> float:
        """Hours for which the stream keeps a record."""
        with self._mapped():
            answer = self._client.describe_stream_summary(StreamName=self.name)
        return float(answer["StreamDescriptionSummary"]["RetentionPeriodHours"])

    def shards(self) -> list[KinesisShardInfo]:
        """All shards that hold records or take them, by name."""
        found: list[KinesisShardInfo] = []
        request: dict[str, Any] = {"StreamName": self.name}
        while True:
            with self._mapped():
                page = self._client.list_shards(**request)
            found += [_info(shard) for shard in page["Shards"]]
            if not page.get("NextToken"):
                return sorted(found, key=lambda info: info.shard)
            request = {"NextToken": page["NextToken"]}

    def put(self, records: Sequence[Record]) -> list[Mapping[str, Any]]:
        """Kinesis's answer to each record, in the order given."""
        entries = [{"Data": record.data, "PartitionKey": record.key} for record in records]
        with self._mapped():
            answer = self._client.put_records(StreamName=self.name, Records=entries)
        found: list[Mapping[str, Any]] = answer["Records"]
        return found

    def iterator(self, shard: str, position: Mapping[str, Any]) -> str:
        """An iterator of `shard`; `position` as GetShardIterator takes it."""
        with self._mapped(shard):
            answer = self._client.get_shard_iterator(StreamName=self.name, ShardId=shard, **position)
        return str(answer["ShardIterator"])

    def records(self, shard: str, iterator: str) -> Mapping[str, Any] | None:
        """What GetRecords answers, in its turn; None where the iterator has expired (after five minutes)."""
        self._await_turn(shard)
        with self._mapped(shard):
            return self._unless_expired(lambda: self._client.get_records(ShardIterator=iterator))

    def _unless_expired(self, ask: Callable[[], T]) -> T | None:
        from botocore.exceptions import ClientError

        try:
            return ask()
        except ClientError as error:
            if error_code(error) != EXPIRED:
                raise
            return None

    def _await_turn(self, shard: str) -> None:
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._free_at.get(shard, now))
            self._free_at[shard] = turn + self._pause_s
        time.sleep(turn - now)

    def _mapped(self, shard: str = "") -> Any:
        where = f"Shard '{shard}' of stream '{self.name}'" if shard else f"Stream '{self.name}'"
        return aws_mapped(where, service="Kinesis", kinds=_KINDS, steps=_STEPS)


def _info(shard: Mapping[str, Any]) -> KinesisShardInfo:
    sequences = shard["SequenceNumberRange"]
    parents = tuple(shard[key] for key in ("ParentShardId", "AdjacentParentShardId") if shard.get(key))
    return KinesisShardInfo(
        shard["ShardId"], sequences["StartingSequenceNumber"], sequences.get("EndingSequenceNumber", ""), parents
    )
