"""What is Kinesis's alone in its stream: records refused for now, iterators that expire, the pace of reads."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from mlplatform.adapters.stream.kinesis import KinesisSettings, KinesisStream
from mlplatform.errors import NotFoundError, PermissionDeniedError, ThrottledError
from mlplatform.ports.stream import Record
from mlplatform_tests.conformance.streams import Clock, clock, kinesis_stream, stream_spec
from mlplatform_tests.conformance.test_stream import everything, records
from mlplatform_tests.servers.kinesis.server import THROTTLED, Kinesis, kinesis
from mlplatform_tests.servers.ministack.faults import Faults, faults_before

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
    server.calls.clear()
    yield found
    found.close()


@pytest.fixture
def faults(server: Kinesis) -> Iterator[Faults]:
    with faults_before(server.server_port) as found:
        yield found


def through(options: dict[str, Any], server: Kinesis) -> KinesisStream:
    settings = KinesisSettings(create=True, reads_per_s=10_000)
    return KinesisStream(settings, "test", stream_spec(), client_options=options, clock=server.clock)


def data(stream: KinesisStream) -> list[bytes]:
    return sorted((r.data for page in everything(stream).values() for r in page), key=int)


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def test_records_refused_for_now_are_put_again_alone(stream: KinesisStream, server: Kinesis) -> None:
    server.refuse = ["", THROTTLED, "", "InternalFailure", THROTTLED, "", THROTTLED, ""]
    results = stream.put(records(5))
    assert [r.error_code for r in results] == [""] * 5
    assert server.calls == ["PutRecords"] * 3
    assert data(stream) == numbers(5)
    by_place = {r.sequence: r.data for page in everything(stream).values() for r in page}
    assert [by_place[r.sequence] for r in results] == numbers(5)


def test_records_that_go_on_being_refused_are_told_and_the_others_stored(
    stream: KinesisStream, server: Kinesis
) -> None:
    server.refuse = ["", THROTTLED, "InternalFailure"] + [THROTTLED, "InternalFailure"] * 20
    results = stream.put(records(3))
    assert [r.error_code for r in results] == ["", "throttled_error", "unavailable_error"]
    assert f"Kinesis answered {THROTTLED}: as the test says" in results[1].error_message
    server.refuse = []
    assert data(stream) == numbers(1)


def test_limits_are_checked_before_anything_is_sent(stream: KinesisStream, server: Kinesis) -> None:
    assert [r.error_code for r in stream.put([Record("", b"1")])] == ["bad_key"]
    assert server.calls == []


def test_iterators_that_expire_are_renewed(stream: KinesisStream, server: Kinesis) -> None:
    stream.put(records(20))
    before = {s.shard: s.newest for s in stream.shards()}
    server.expire()
    stream.put(records(20, 20))
    server.expire()
    behind = [r.data for shard, newest in before.items() for r in stream.read(shard, after=newest)]
    assert sorted(behind, key=int) == [b"%d" % n for n in range(20, 40)]


def test_empty_answers_are_not_the_end(stream: KinesisStream, server: Kinesis) -> None:
    stream.put(records(20))
    server.empty_answers = 7
    assert data(stream) == numbers(20)
    server.empty_answers = 7
    reader = kinesis_stream(server)
    assert sorted(s.newest for s in reader.shards()) == sorted(s.newest for s in stream.shards())
    reader.close()


def test_what_was_read_is_not_asked_for_again(stream: KinesisStream, server: Kinesis) -> None:
    stream.put(records(40))
    [shard, _] = stream.shards()
    server.calls.clear()
    page = stream.read(shard.shard)
    for record in page[:-1]:
        stream.read(shard.shard, after=record.sequence, limit=3)
    assert server.calls.count("GetRecords") <= 2


def test_reads_keep_the_pace_that_a_shard_answers(server: Kinesis) -> None:
    paced = kinesis_stream(server, shards=1, reads_per_s=20)
    paced.put(records(10))
    server.reads_per_s = 40
    begin = time.monotonic()
    for _ in range(8):
        [state] = paced.shards()
    assert time.monotonic() - begin >= 8 / 20
    assert state.newest
    paced.close()


def test_reads_that_others_make_too_fast_are_tried_again(stream: KinesisStream, server: Kinesis) -> None:
    stream.put(records(10))
    server.reads_per_s = 8
    assert data(stream) == numbers(10)


def test_shard_that_goes_on_refusing_reads(faults: Faults, server: Kinesis) -> None:
    reader = through(faults.impatient_options, server)
    reader.put(records(10))
    faults.refuse("GetRecords", THROTTLED, times=2)
    expected = rf"Shard 'shardId-0+' of stream '{NAME}': Kinesis answered {THROTTLED} to GetRecords"
    with pytest.raises(ThrottledError, match=expected):
        reader.shards()
    assert faults.calls.count("GetRecords") == 2
    reader.close()


def test_refusal_names_stream_and_operation(faults: Faults, server: Kinesis) -> None:
    producer = through(faults.client_options, server)
    producer.shards()
    faults.refuse("PutRecords", "ExpiredTokenException", times=9)
    with pytest.raises(PermissionDeniedError, match=rf"'{NAME}': Kinesis answered ExpiredTokenException to PutRecords"):
        producer.put(records(1))
    producer.close()


def test_a_put_whose_answer_was_lost_is_stored_at_least_once(faults: Faults, server: Kinesis) -> None:
    producer = through(faults.client_options, server)
    producer.shards()
    faults.lose_answer("PutRecords")
    assert [r.error_code for r in producer.put(records(3))] == [""] * 3
    assert set(data(producer)) == set(numbers(3))
    producer.close()


def test_stream_that_may_not_be_made(server: Kinesis) -> None:
    found = kinesis_stream(server, create=False)
    with pytest.raises(NotFoundError, match=rf"Stream '{NAME}': Kinesis answered ResourceNotFound.*create: true"):
        found.put(records(1))
    found.close()


def test_stream_is_made_with_the_shards_and_retention_of_the_yaml(server: Kinesis) -> None:
    spec = stream_spec(3).model_copy(update={"retention_h": 100.5})
    settings = KinesisSettings(create=True, prefix="dev-")
    found = KinesisStream(settings, "test", spec, client_options=server.client_options, clock=server.clock)
    assert len(found.shards()) == 3
    assert server.streams["dev-test-prices"].retention == timedelta(hours=101)
    found.close()


def test_stream_of_another_name_that_is_there(server: Kinesis) -> None:
    kinesis_stream(server).shards()
    settings = KinesisSettings(names={"prices": NAME})
    found = KinesisStream(settings, "other", stream_spec(), client_options=server.client_options, clock=server.clock)
    assert len(found.shards()) == 2
    found.close()


def test_shorter_retention_than_the_yaml_says_is_told(server: Kinesis, caplog: pytest.LogCaptureFixture) -> None:
    kinesis_stream(server).shards()
    spec = stream_spec().model_copy(update={"retention_h": 168})
    found = KinesisStream(KinesisSettings(), "test", spec, client_options=server.client_options, clock=server.clock)
    with caplog.at_level(logging.WARNING):
        found.shards()
        found.shards()
    assert caplog.text.count(f"stream '{NAME}' keeps records for 24 hours, the YAML says 168") == 1
    found.close()


@pytest.mark.parametrize("settings", [{"reads_per_s": 0}, {"prefix": "a b"}, {"shards": 3}])
def test_wrong_settings(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        KinesisSettings.model_validate(settings)
