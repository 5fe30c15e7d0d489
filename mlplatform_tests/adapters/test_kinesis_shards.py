"""Shards of Kinesis that are split, merged and let go, and readers whose position retention has taken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from mlplatform.adapters.stream.kinesis import KinesisStream
from mlplatform.errors import ConflictError, NotFoundError, StateError
from mlplatform.ports.stream import Record
from mlplatform_tests.conformance.streams import Clock, clock, kinesis_stream
from mlplatform_tests.conformance.test_stream import everything, records
from mlplatform_tests.servers.kinesis.server import Kinesis, kinesis
from mlplatform_tests.servers.kinesis.shards import GAP

__all__ = ["clock"]

NAME = "test-prices"


@pytest.fixture
def server(clock: Clock) -> Iterator[Kinesis]:
    with kinesis(clock) as found:
        yield found


@pytest.fixture
def stream(server: Kinesis) -> Iterator[KinesisStream]:
    found = kinesis_stream(server)
    found.shards()
    yield found
    found.close()


def data(stream: KinesisStream) -> list[bytes]:
    return sorted((r.data for page in everything(stream).values() for r in page), key=int)


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def test_split_and_merged_shards_name_their_parents(stream: KinesisStream, server: Kinesis) -> None:
    stream.put(records(20))
    [first, second] = [s.shard for s in stream.shards()]
    server.streams[NAME].split(first)
    stream.shards()
    third, fourth = [s.shard for s in stream.shards()][2:]
    stream.put(records(20, 20))
    server.streams[NAME].merge(fourth, second)
    stream.shards()
    assert {s.shard: s.parents for s in stream.shards()} == {
        first: (),
        second: (),
        third: (first,),
        fourth: (first,),
        "shardId-000000000004": (fourth, second),
    }
    stream.put(records(20, 40))
    assert data(stream) == numbers(60)


def test_closed_shard_is_read_to_its_end_and_then_left_alone(stream: KinesisStream, server: Kinesis) -> None:
    stream.put(records(20))
    server.streams[NAME].count(1)
    assert data(stream) == numbers(20)
    for _ in range(2):
        assert len(stream.shards()) == 3
    server.calls.clear()
    for _ in range(5):
        stream.shards()
    # The new shard is asked each time.
    assert server.calls == ["GetRecords"] * 5


def test_closed_shard_goes_when_retention_has_taken_its_records(server: Kinesis, clock: Clock) -> None:
    kinesis_stream(server).put(records(20))
    server.streams[NAME].count(1)
    clock.now += timedelta(hours=25)
    reader = kinesis_stream(server)
    assert [s.shard for s in reader.shards()] == ["shardId-000000000002"]
    with pytest.raises(NotFoundError):
        reader.read("shardId-000000000000")
    reader.close()


def test_reader_that_starts_behind_retention_is_told(server: Kinesis, clock: Clock) -> None:
    kinesis_stream(server, shards=1).put(records(10))
    before = kinesis_stream(server, shards=1)
    [state] = before.shards()
    third = before.read(state.shard)[2].sequence
    clock.now += timedelta(hours=25)
    before.put(records(5, 10))
    with pytest.raises(
        StateError, match=rf"behind sequence {third} were removed by retention, or may have been.*24 hours"
    ):
        kinesis_stream(server, shards=1).read(state.shard, after=third)
    assert len(kinesis_stream(server, shards=1).read(state.shard)) == 5


def test_reader_of_a_stream_that_was_idle_for_longer_than_retention_goes_on(server: Kinesis, clock: Clock) -> None:
    kinesis_stream(server, shards=1).put(records(10))
    [state] = kinesis_stream(server, shards=1).shards()
    clock.now += timedelta(hours=25)
    reader = kinesis_stream(server, shards=1)
    assert reader.read(state.shard, after=state.newest) == []
    reader.put(records(5, 10))
    assert [r.data for r in reader.read(state.shard, after=state.newest)] == numbers(15)[10:]
    reader.close()


def test_stream_that_was_made_again_refuses_the_old_ones_positions(server: Kinesis) -> None:
    old = kinesis_stream(server, shards=1)
    old.put(records(10))
    [state] = old.shards()
    numbering = server.streams.pop(NAME)
    made = kinesis_stream(server, shards=1)
    made.shards()
    # Kinesis's sequences grow with time.
    info = server.streams[NAME].shards[state.shard]
    info.starting = str(int(numbering.shards[state.shard].records[-1].sequence) + 1)
    again = kinesis_stream(server, shards=1)
    with pytest.raises(
        ConflictError, match=f"begins at sequence {info.starting}, and a reader stands at {state.newest}"
    ):
        again.read(state.shard, after=state.newest)


def test_end_is_found_of_a_shard_that_several_answers_hold(server: Kinesis, clock: Clock) -> None:
    producer = kinesis_stream(server, shards=1)
    for _ in range(12):
        producer.put([Record("k", b"x" * 1_000_000)])
    producer.put([Record("k", b"9")])
    for back in (timedelta(0), timedelta(minutes=4), timedelta(hours=1), timedelta(hours=23)):
        clock.now += back
        reader = kinesis_stream(server, shards=1)
        [state] = reader.shards()
        before = str(int(state.newest) - GAP)
        assert [r.data for r in reader.read(state.shard, after=before)] == [b"9"]
        reader.close()
        clock.now -= back
