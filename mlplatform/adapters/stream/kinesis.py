"""Amazon Kinesis Data Streams (https://docs.aws.amazon.com/kinesis/latest/APIReference/).

- **Order**: Kinesis keeps the order in which it takes records. Of one put it takes all, or some: those it refuses for now
  are put again, record by record, and then stand behind others of their key that it took.
- **Durability**: in three zones when a put returns. Where Kinesis's answer is lost, a put is tried again, and its records
  may stand there twice; tables with a unique key count them as duplicates.
- **Shards** are Kinesis's own; who changes their number does so there. Closed ones can be read until retention has taken
  their records.
- **Aggregates** of the Kinesis Producer Library are read as the records in them, which share a sequence and are never parted.
- **Retention** is the stream's own too; `trim` has nothing to do.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from mlplatform.adapters.aws.client import AwsSettings
from mlplatform.adapters.stream.firehose import FirehoseSettings
from mlplatform.adapters.stream.kinesis_api import KinesisApi
from mlplatform.adapters.stream.kinesis_put import put_aggregated, put_all
from mlplatform.adapters.stream.kinesis_shard import KinesisShard
from mlplatform.adapters.stream.limits import check_put, checked
from mlplatform.errors import NotFoundError
from mlplatform.ports.stream import PutResult, Record, ShardState, StoredRecord, StreamCapabilities
from mlplatform.spec.stream import StreamSpec

log = logging.getLogger(__name__)

LISTED_S = 10.0
"""After so long the shards are listed anew: their number may have been changed."""


class KinesisSettings(AwsSettings):
    """A connection's settings, as a profile writes them."""

    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]*$", description="In front of `<system>-<stream>`.")
    names: dict[str, str] = Field(
        default_factory=dict,
        description="By name of a stream in the YAML: what it is called in Kinesis, where that differs.",
    )
    create: bool = Field(
        default=False,
        description="Whether a stream is made where it is missing, with the shards and retention of the YAML.",
    )
    reads_per_s: float = Field(
        default=5,
        gt=0,
        description="Reads of a shard in a second at most; Kinesis answers five, to all readers together.",
    )
    aggregate: bool = Field(
        default=False,
        description="Whether records of one key that are put together become one of Kinesis's, in the format of its Producer "
        "Library: cheaper, and more a second. Such records are read in any case.",
    )
    delivery: FirehoseSettings | None = Field(
        default=None, description="Who delivers its records to landing objects; none: the worker does."
    )

    def name(self, system: str, stream: str) -> str:
        """What a stream of the YAML is called in Kinesis."""
        return self.names.get(stream, f"{self.prefix}{system}-{stream}")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class KinesisStream:
    """The stream `spec` of `system`; `client_options` are further arguments of ``boto3.client``."""

    capabilities = StreamCapabilities(
        durability="in three zones of an AWS region when put returns", counts=False, trims=False
    )

    def __init__(
        self,
        settings: KinesisSettings,
        system: str,
        spec: StreamSpec,
        *,
        client_options: Mapping[str, Any] | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.name = settings.name(system, spec.name)
        self._spec = spec
        self._create = settings.create
        self._aggregate = settings.aggregate
        self._clock = clock
        self._client = settings.client("kinesis", client_options)
        self._api = KinesisApi(self._client, self.name, reads_per_s=settings.reads_per_s)
        self._lock = threading.Lock()
        self._ready = False
        self._retention = timedelta(0)
        self._shards: dict[str, KinesisShard] = {}
        self._listed_at = 0.0

    def put(self, records: Sequence[Record]) -> list[PutResult]:
        check_put(self.name, records, self.capabilities)
        if self._create:
            # A producer of a stream that is there needs no permission but to put.
            self._make_ready()
        results = [checked(record, self.capabilities) for record in records]
        places = [place for place, result in enumerate(results) if not result.error_code]
        put = put_aggregated if self._aggregate else put_all
        stored = put(self._api, [records[place] for place in places])
        for place, result in zip(places, stored, strict=True):
            results[place] = result
        return results

    def shards(self) -> list[ShardState]:
        shards = self._listed()
        states = [shard.state() for shard in shards]
        if any(shard.ended and not shard.info.ending for shard in shards):
            # Closed since they were listed: what was made from them is there by now.
            self._listed_at = 0.0
        return states

    def read(self, shard: str, *, after: str = "", limit: int = 1000) -> list[StoredRecord]:
        found = self._shards.get(shard) or next((s for s in self._listed(anew=True) if s.info.shard == shard), None)
        if found is None:
            raise NotFoundError(f"Stream '{self.name}' has no shard '{shard}'; it has: {', '.join(self._shards)}.")
        return found.read(after, limit)

    def trim(self, *, now: datetime, delivered: Mapping[str, str] | None = None) -> int:  # noqa: ARG002
        return 0

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _listed(self, *, anew: bool = False) -> list[KinesisShard]:
        self._make_ready()
        with self._lock:
            if anew or not self._shards or time.monotonic() - self._listed_at > LISTED_S or not self._listed_at:
                listed = self._api.shards()
                self._listed_at = time.monotonic()
                before, self._shards = self._shards, {}
                for info in listed:
                    shard = before.get(info.shard) or KinesisShard(self._api, info, self._retention, self._clock)
                    shard.info = info
                    self._shards[info.shard] = shard
            return list(self._shards.values())

    def _make_ready(self) -> None:
        """Look at the stream once, and make it where it is missing and may be."""
        with self._lock:
            if self._ready:
                return
            try:
                kept_h = self._api.retention_h()
            except NotFoundError:
                if not self._create:
                    raise
                self._api.create(self._spec.shards, self._spec.retention_h)
                kept_h = self._api.retention_h()
            self._retention = timedelta(hours=kept_h)
            self._ready = True
            if kept_h < self._spec.retention_h:
                log.warning(
                    "stream '%s' keeps records for %g hours, the YAML says %g: lengthen its retention in Kinesis, or change retention_h",
                    self.name,
                    kept_h,
                    self._spec.retention_h,
                )
