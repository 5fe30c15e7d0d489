"""Readers of Kinesis and S3 beside loops that a hand would write with boto3 alone, against one server, in one process."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.options import Options
from benchmarks.rounds import Measures, paired, series
from benchmarks.rows import Bar, Row, row
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.adapters.stream.kinesis import KinesisSettings, KinesisStream
from mlplatform.ports.stream import Record
from mlplatform.spec.stream import DeliverySpec, StreamSpec
from mlplatform.stations.delivery import PAGE
from mlplatform_tests.servers.ministack.server import Ministack, ministack

SHARDS = 2
READS_PER_S = 1e6
"""Of a shard, by ours and by the peer: no limit. AWS's (5) would be all that is measured."""
SMALL_BYTES = 1000
CHUNK_BYTES = 1024 * 1024
BUCKET = "readers"
SPEC = StreamSpec(name="ticks", partition_key="k", shards=SHARDS, delivery=DeliverySpec(prefix="in/"))
BAR = Bar("ours / peer", "most", 1.2)
PEER = "a loop with boto3 alone"


def readers(options: Options) -> list[Row]:
    """Rows ``aws.readers.*``."""
    records, objects = options.size(20_000, 1_000), options.size(300, 30)
    mib, keys = options.size(128, 8), options.size(10_000, 2_000)
    with ministack(options.folder("readers")) as server, Bucket.of(server) as bucket, Consumers.of(server) as consumers:
        bucket.fill(objects, mib, keys)
        options.say(f"{objects} small objects, one of {mib} MiB and {keys:,} keys are there")

        def arrived() -> Measures:
            consumers.arrive(records)
            return timed(consumers.ours, records)

        many, large = objects * SMALL_BYTES, mib * CHUNK_BYTES
        found = {
            "kinesis": (arrived, lambda: timed(consumers.bare, records)),
            "s3_many": (lambda: timed(bucket.open_each, many), lambda: timed(bucket.get_each, many)),
            "s3_large": (lambda: timed(bucket.open_large, large), lambda: timed(bucket.get_large, large)),
            "s3_list": (lambda: timed(bucket.list_ours, keys), lambda: timed(bucket.list_bare, keys)),
        }
        pairs = {name: _paired(options, name, ours, bare) for name, (ours, bare) in found.items()}
    titles = {
        "kinesis": f"{records:,} records that just arrived on {SHARDS} shards, read by a consumer in pages of {PAGE:,}, as delivery does",
        "s3_many": f"{objects} objects of {SMALL_BYTES} bytes, read one after the other",
        "s3_large": f"An object of {mib} MiB, read in pieces of 1 MiB",
        "s3_list": f"{keys:,} keys, listed",
    }
    return [made for name, title in titles.items() for made in _rows(name, title, pairs[name])]


def timed(read: Callable[[], int], expected: int) -> Measures:
    """Milliseconds, and those of them that this process's processor was busy; all that is there must have been read."""
    gc.collect()  # what one side left is not the other's to clear away
    wall, processor = time.perf_counter(), time.process_time()
    if (there := read()) != expected:
        raise RuntimeError(f"expected {expected:,} to be read, found {there:,}")
    return {"wall": (time.perf_counter() - wall) * 1000, "processor": (time.process_time() - processor) * 1000}


def _paired(
    options: Options, name: str, ours: Callable[[], Measures], bare: Callable[[], Measures]
) -> list[tuple[Measures, Measures]]:
    """Both in turn, after one of each that fills caches."""
    ours(), bare()
    return paired(ours, bare, rounds=options.rounds(9), say=lambda text: options.say(f"{name}: {text}"))


def _rows(name: str, title: str, pairs: list[tuple[Measures, Measures]]) -> list[Row]:
    note = "ministack stands in for AWS, and takes most of the time of both"
    if name == "kinesis":
        note += "; reads_per_s is set so high that neither pauses (its default keeps to AWS's 5 a second and shard)"
    wall, processor = series(pairs, "wall"), series(pairs, "processor")
    beside = "the processor of the process that reads; no bar was set for it"
    return [
        row(f"aws.readers.{name}", title, "ms", *wall, peer_name=PEER, bar=BAR, note=note),
        row(f"aws.readers.{name}.processor", f"{title}: processor time", "ms", *processor, peer_name=PEER, note=beside),
    ]


@dataclass
class Consumers:
    """Two that read on as records arrive: ours, and GetRecords alone. Both stand at the end when they are made."""

    stream: KinesisStream
    client: Any
    after: dict[str, str]
    iterators: dict[str, str]
    put: int = 0

    @classmethod
    @contextmanager
    def of(cls, server: Ministack) -> Iterator[Consumers]:
        """On a stream of its own, read as fast as the server answers."""
        import boto3

        settings = KinesisSettings(create=True, reads_per_s=READS_PER_S)
        client: Any = boto3.client("kinesis", **server.client_options)
        options = server.client_options
        with closing(client), closing(KinesisStream(settings, "bench", SPEC, client_options=options)) as stream:
            found = cls(stream, client, {state.shard: "" for state in stream.shards()}, {})
            for shard in found.after:
                place = {"StreamName": stream.name, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
                found.iterators[shard] = client.get_shard_iterator(**place)["ShardIterator"]
            yield found

    def arrive(self, count: int) -> None:
        """Put so many records."""
        for first in range(0, count, 500):
            numbers = range(self.put + first, self.put + min(first + 500, count))
            self.stream.put([Record(f"k{n % 97}", b'{"id":%d,"value":%d}' % (n, n % 89) + b" " * 100) for n in numbers])
        self.put += count
        time.sleep(0.5)  # the server is done with them

    def ours(self) -> int:
        """How many records are new: read up to the newest, page by page as delivery reads them."""
        count = 0
        for state in self.stream.shards():
            while self.after[state.shard] < state.newest:
                page = self.stream.read(state.shard, after=self.after[state.shard], limit=PAGE)
                count += len([(record.key, record.data, record.sequence) for record in page])
                self.after[state.shard] = page[-1].sequence
        return count

    def bare(self) -> int:
        """The same by GetRecords."""
        count = 0
        for shard in self.iterators:
            behind = True
            while behind:
                answer = self.client.get_records(ShardIterator=self.iterators[shard])
                count += len([(r["PartitionKey"], r["Data"], r["SequenceNumber"]) for r in answer["Records"]])
                self.iterators[shard] = answer["NextShardIterator"]
                behind = bool(answer["MillisBehindLatest"])
        return count


@dataclass
class Bucket:
    """A bucket, and two who read it: ours, and a client of boto3."""

    store: S3ObjectStore
    client: Any
    many: Sequence[str] = ()

    @classmethod
    @contextmanager
    def of(cls, server: Ministack) -> Iterator[Bucket]:
        """A new one."""
        import boto3

        client: Any = boto3.client("s3", **server.client_options)
        client.create_bucket(Bucket=BUCKET)
        with closing(client), closing(S3ObjectStore(BUCKET, client_options=server.client_options)) as store:
            yield cls(store, client)

    def fill(self, objects: int, mib: int, keys: int) -> None:
        """Put all that is read."""
        self.many = [f"many/{number:06d}" for number in range(objects)]
        for key in self.many:
            self.store.put(key, bytes(SMALL_BYTES))
        self.store.put("large/one", bytes(mib * CHUNK_BYTES))
        for number in range(keys):
            self.store.put(f"keys/{number:06d}", b"")

    def open_each(self) -> int:
        """Bytes of the small objects."""
        count = 0
        for key in self.many:
            with self.store.open(key) as stream:
                count += len(stream.read())
        return count

    def get_each(self) -> int:
        """The same by GetObject."""
        count = 0
        for key in self.many:
            with self.client.get_object(Bucket=BUCKET, Key=key)["Body"] as body:
                count += len(body.read())
        return count

    def open_large(self) -> int:
        """Bytes of the large object."""
        with self.store.open("large/one") as stream:
            return sum(iter(lambda: len(stream.read(CHUNK_BYTES)), 0))

    def get_large(self) -> int:
        """The same by GetObject."""
        with self.client.get_object(Bucket=BUCKET, Key="large/one")["Body"] as body:
            return sum(iter(lambda: len(body.read(CHUNK_BYTES)), 0))

    def list_ours(self) -> int:
        """How many keys there are."""
        return sum(1 for _ in self.store.list("keys/"))

    def list_bare(self) -> int:
        """The same by ListObjectsV2."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="keys/")
        return sum(len(page["Contents"]) for page in pages)
