"""Aggregates of the Kinesis Producer Library: read as its format says, written so that others read them, and loaded once."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.stream.kinesis import KinesisSettings, KinesisStream
from mlplatform.adapters.stream.kinesis_aggregation import MAGIC, MAX_AGGREGATE_BYTES, aggregated, disaggregated, groups
from mlplatform.ports.stream import Record
from mlplatform.spec.table import TableSpec
from mlplatform.stations.delivery import Delivery
from mlplatform.stations.ingest import Ingest
from mlplatform_tests.conformance.streams import Clock, clock, stream_spec
from mlplatform_tests.conformance.warehouses import SharedDuckLake, shared_ducklake
from mlplatform_tests.servers.kinesis.server import Kinesis, kinesis

__all__ = ["clock", "shared_ducklake"]


def message_type() -> Any:
    """The library's message, as its schema declares it, by Google's own code."""
    file = descriptor_pb2.FileDescriptorProto(name="kpl.proto", package="kpl", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in {
        "Tag": [("key", 1, kinds.TYPE_STRING, "", 2), ("value", 2, kinds.TYPE_STRING, "", 1)],
        "Record": [
            ("partition_key_index", 1, kinds.TYPE_UINT64, "", 2),
            ("explicit_hash_key_index", 2, kinds.TYPE_UINT64, "", 1),
            ("data", 3, kinds.TYPE_BYTES, "", 2),
            ("tags", 4, kinds.TYPE_MESSAGE, ".kpl.Tag", 3),
        ],
        "AggregatedRecord": [
            ("partition_key_table", 1, kinds.TYPE_STRING, "", 3),
            ("explicit_hash_key_table", 2, kinds.TYPE_STRING, "", 3),
            ("records", 3, kinds.TYPE_MESSAGE, ".kpl.Record", 3),
        ],
    }.items():
        message = file.message_type.add(name=name)
        for field, number, kind, type_name, label in fields:
            message.field.add(name=field, number=number, type=kind, type_name=type_name or None, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kpl.AggregatedRecord"))


MESSAGE = message_type()


def by_the_library(records: list[Record]) -> bytes:
    """With a table of keys, explicit hash keys and tags, as the library itself writes."""
    keys = sorted({record.key for record in records})
    message = MESSAGE(partition_key_table=keys, explicit_hash_key_table=["12345"])
    for record in records:
        added = message.records.add(partition_key_index=keys.index(record.key), data=record.data)
        added.explicit_hash_key_index = 0
        added.tags.add(key="a", value="b")
    body = message.SerializeToString()
    return MAGIC + body + hashlib.md5(body, usedforsecurity=False).digest()


RECORDS = st.builds(Record, st.text("abcü", min_size=1, max_size=4), st.binary(max_size=300))


@given(st.lists(RECORDS, min_size=1, max_size=20))
def test_what_the_library_writes_is_read(records: list[Record]) -> None:
    assert disaggregated("other", by_the_library(records)) == records


@given(st.text("abcü", min_size=1, max_size=4), st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_what_is_written_here_the_library_reads(key: str, data: list[bytes]) -> None:
    made = aggregated([Record(key, each) for each in data])
    message = MESSAGE.FromString(made[4:-16])
    assert list(message.partition_key_table) == [key]
    assert [(r.partition_key_index, r.data) for r in message.records] == [(0, each) for each in data]
    assert disaggregated("other", made) == [Record(key, each) for each in data]


WHOLE = by_the_library([Record("k", b"data")])


@pytest.mark.parametrize(
    "data",
    [b"{}", b"", MAGIC, MAGIC + b"x" * 16, WHOLE[:-1], WHOLE[:-1] + b"x", b"x" + WHOLE[1:], WHOLE[:8] + WHOLE[9:]],
)
def test_what_only_looks_like_one_is_a_record_of_its_own(data: bytes) -> None:
    assert disaggregated("k", data) is None or data == MAGIC + b"x" * 16


@given(st.binary(max_size=60))
def test_a_message_that_is_broken_is_a_record_of_its_own(body: bytes) -> None:
    found = disaggregated("k", MAGIC + body + hashlib.md5(body, usedforsecurity=False).digest())
    assert found is None or all(isinstance(record.data, bytes) for record in found)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, MAX_AGGREGATE_BYTES)), max_size=30))
def test_records_of_one_key_go_together_in_their_order(given_: list[tuple[str, int]]) -> None:
    records = [Record(key, b"x" * size) for key, size in given_]
    found = groups(records)
    assert sorted(place for group in found for place in group) == list(range(len(records)))
    for group in found:
        assert group == sorted(group)
        assert len({records[place].key for place in group}) == 1
        assert len(group) == 1 or sum(len(records[place].data) for place in group) <= MAX_AGGREGATE_BYTES


TABLE = TableSpec.model_validate(
    {"name": "numbers", "columns": [{"name": "n", "type": "bigint"}], "sources": [{"stream": "prices"}]}
)
HOUR = timedelta(hours=1)


@pytest.fixture
def server(clock: Clock) -> Iterator[Kinesis]:
    with kinesis(clock) as found:
        yield found


def opened(server: Kinesis, **settings: Any) -> KinesisStream:
    made = KinesisSettings(create=True, reads_per_s=10_000, **settings)
    return KinesisStream(made, "test", stream_spec(shards=1), client_options=server.client_options, clock=server.clock)


def numbers(first: int, last: int) -> list[Record]:
    return [Record("k", b'{"n":%d}' % number) for number in range(first, last)]


def test_a_read_never_parts_an_aggregate(server: Kinesis) -> None:
    stream = opened(server, aggregate=True)
    stream.shards()
    results = [stream.put(numbers(0, 5)), stream.put(numbers(5, 10))]
    assert [len({result.sequence for result in each}) for each in results] == [1, 1]
    shard, first = results[0][0].shard, results[0][0].sequence
    assert [r.data for r in stream.read(shard, limit=2)] == [r.data for r in numbers(0, 5)]
    assert [r.data for r in stream.read(shard, after=first, limit=1)] == [r.data for r in numbers(5, 10)]
    assert [r.name for r in stream.read(shard, limit=1)] == [f"{first}.{number:06d}" for number in range(5)]
    stream.close()


def test_an_answer_of_more_parts_than_are_kept_is_read_whole_in_pages(server: Kinesis) -> None:
    stream = opened(server)
    (state,) = stream.shards()
    for first in range(0, 50_000, 400):
        whole = aggregated([Record("k", b"%0100d" % number) for number in range(first, first + 400)])
        server.streams[stream.name].put("k", base64.b64encode(whole).decode())
    after, found = "", list[int]()
    while page := stream.read(state.shard, after=after):
        found += [int(record.data) for record in page]
        after = page[-1].sequence
        if len(found) % 8_000 < len(page):
            # Who asks for the shard's end reads on beside those who read what lies before it.
            stream.shards()
    assert found == list(range(50_000))
    stream.close()


def test_what_is_aggregated_is_loaded_once_whatever_ranges_overlap(
    server: Kinesis, shared_ducklake: SharedDuckLake, tmp_path: Path
) -> None:
    stream, warehouse = opened(server, aggregate=True), shared_ducklake.empty()
    store, spec = DirectoryObjectStore(tmp_path / "objects"), stream_spec(shards=1)
    stream.shards()
    stream.put(numbers(0, 30))
    now = datetime.now(UTC) + HOUR
    (first,) = Delivery(stream, store, spec, system="test").deliver(now)
    stream.put(numbers(30, 60))
    Delivery(stream, store, spec, system="test").deliver(now)
    ingest = Ingest(warehouse, store, TABLE, system="test", streams={"prices": spec})
    assert [(r.arrived, r.loaded) for r in ingest.run()] == [(30, 30), (30, 30)]
    # A second history of the same stream: one range over all of it, after the first was loaded.
    again, other = DirectoryObjectStore(tmp_path / "again"), shared_ducklake.empty()
    again.put(first.key, Path(store.url(first.key)))
    half = Ingest(other, again, TABLE, system="test", streams={"prices": spec})
    assert [(r.arrived, r.loaded) for r in half.run()] == [(30, 30)]
    wholly = DirectoryObjectStore(tmp_path / "whole")
    (whole,) = Delivery(stream, wholly, spec, system="test").deliver(now)
    again.put(whole.key, Path(wholly.url(whole.key)))
    assert [(r.arrived, r.loaded, r.duplicates) for r in half.run()] == [(60, 30, 30)]
    rows = other.query("SELECT n, _offset FROM numbers ORDER BY n").to_pylist()
    assert [row["n"] for row in rows] == list(range(60))
    assert len({row["_offset"] for row in rows}) == 60
    stream.close()
