"""The contract of the stream port, over every adapter."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplatform.errors import ConflictError, DataError, NotFoundError, StateError
from mlplatform.ports.stream import Record, ShardState, StoredRecord, Stream
from mlplatform_tests.conformance.streams import Clock, MakeStream, clock, make_stream, stream

__all__ = ["clock", "make_stream", "stream"]

KEYS = [f"key-{number}" for number in range(40)]


def records(count: int, start: int = 0) -> list[Record]:
    return [Record(KEYS[n % len(KEYS)], b"%d" % n) for n in range(start, start + count)]


def everything(stream: Stream, limit: int = 1000) -> dict[str, list[StoredRecord]]:
    """What each shard holds, read page by page from the oldest kept."""
    found: dict[str, list[StoredRecord]] = {}
    for state in stream.shards():
        found[state.shard] = []
        after = ""
        while page := stream.read(state.shard, after=after, limit=limit):
            found[state.shard] += page
            after = page[-1].sequence
    return found


def assert_ends(stream: Stream, state: ShardState, held: list[StoredRecord]) -> None:
    """`state` tells the ends of what is held, as far as the stream knows them."""
    assert state.newest == (held[-1].sequence if held else "")
    if stream.capabilities.counts:
        assert (state.oldest, state.records) == (held[0].sequence if held else "", len(held))
    else:
        assert (state.oldest, state.records) == (None, None)


def assert_trimmed(stream: Stream, now: datetime, gone: int) -> None:
    """`trim` removes so many, or leaves it to the service."""
    assert stream.trim(now=now) == (gone if stream.capabilities.trims else 0)


def test_records_come_back_as_they_were_put(stream: Stream, clock: Clock) -> None:
    put = [Record("a", b"\x00\xff bytes"), Record("ü€", b""), Record("a", b'{"x": 1}')]
    results = stream.put(put)

    assert [r.error_code for r in results] == ["", "", ""]
    read = {r.sequence + r.shard: r for page in everything(stream).values() for r in page}
    back = [read[result.sequence + result.shard] for result in results]
    assert [(r.key, r.data) for r in back] == [(r.key, r.data) for r in put]
    assert {r.arrived_at for r in back} == {clock.now}


def test_order_of_a_key_is_the_order_of_puts(stream: Stream) -> None:
    for start in range(0, 600, 100):
        stream.put(records(100, start))
    by_key: dict[str, list[int]] = {key: [] for key in KEYS}
    for page in everything(stream).values():
        sequences = [r.sequence for r in page]
        assert sequences == sorted(set(sequences))
        for record in page:
            by_key[record.key].append(int(record.data))
    assert by_key == {key: list(range(n, 600, len(KEYS))) for n, key in enumerate(KEYS)}


def test_results_stand_in_the_order_given_with_rising_sequences(stream: Stream) -> None:
    results = stream.put(records(200))
    stored = {(shard, r.sequence): r.data for shard, page in everything(stream).items() for r in page}
    assert [stored[r.shard, r.sequence] for r in results] == [b"%d" % n for n in range(200)]
    assert len({len(r.sequence) for r in results}) == 1


def test_a_key_stays_on_its_shard_and_keys_use_all_shards(make_stream: MakeStream) -> None:
    stream = make_stream(shards=4)
    first = {r.key: s.shard for r, s in zip(records(40), stream.put(records(40)), strict=True)}
    again = {r.key: s.shard for r, s in zip(records(40), make_stream(shards=4).put(records(40)), strict=True)}
    assert first == again
    assert set(first.values()) == {s.shard for s in stream.shards()}
    assert len(stream.shards()) == 4


def test_empty_stream(stream: Stream) -> None:
    states = stream.shards()
    assert len(states) == 2
    for state in states:
        assert_ends(stream, state, [])
    assert [stream.read(s.shard) for s in stream.shards()] == [[], []]
    assert stream.put([]) == []


def test_shards_tell_their_ends(stream: Stream) -> None:
    stream.put(records(100))
    for state in stream.shards():
        assert_ends(stream, state, everything(stream)[state.shard])
    assert [s.shard for s in stream.shards()] == sorted(s.shard for s in stream.shards())


def test_replay_from_any_position(stream: Stream) -> None:
    stream.put(records(100))
    for shard, page in everything(stream).items():
        for number, record in enumerate(page):
            assert stream.read(shard, after=record.sequence) == page[number + 1 :]
        assert stream.read(shard, after=page[4].sequence, limit=3) == page[5:8]
        assert stream.read(shard, limit=3) == page[:3]


def test_consumers_do_not_take_from_each_other(make_stream: MakeStream) -> None:
    make_stream().put(records(50))
    first, second = make_stream(), make_stream()
    assert everything(first, limit=7) == everything(second, limit=3) == everything(first)


def test_a_waiting_consumer_sees_what_comes_after(make_stream: MakeStream) -> None:
    stream = make_stream(shards=1)
    stream.put(records(10))
    [state] = stream.shards()
    assert stream.read(state.shard, after=state.newest) == []
    make_stream(shards=1).put(records(2, 10))
    assert [r.data for r in stream.read(state.shard, after=state.newest)] == [b"10", b"11"]


def test_no_such_shard(stream: Stream) -> None:
    with pytest.raises(NotFoundError, match=r"no shard 'shard-9999'; it has: .+"):
        stream.read("shard-9999")
    with pytest.raises(NotFoundError):
        stream.read("../../etc/passwd")


def test_no_such_sequence(stream: Stream) -> None:
    with pytest.raises(DataError, match="is no sequence"):
        stream.read(stream.shards()[0].shard, after="x' OR 1=1 --")


def test_position_the_shard_never_reached(make_stream: MakeStream) -> None:
    stream = make_stream(shards=1)
    stream.put(records(3))
    [state] = stream.shards()
    ahead = str(int(state.newest) + 1).zfill(len(state.newest))
    with pytest.raises(ConflictError, match=rf"ends at sequence {state.newest}, and a reader stands at {ahead}"):
        stream.read(state.shard, after=ahead)


def test_too_large_record_fails_alone(stream: Stream) -> None:
    limit = stream.capabilities.max_record_bytes
    put = [Record("a", b"before"), Record("k", b"x" * limit), Record("k", b"x" * (limit - 1)), Record("a", b"after")]
    results = stream.put(put)

    assert stream.capabilities.partial_failure
    assert [r.error_code for r in results] == ["", "record_too_large", "", ""]
    assert results[1].error_message == f"Key and data may have {limit} bytes, found {limit + 1}."
    assert (results[1].shard, results[1].sequence) == ("", "")
    stored = sorted(r.data for page in everything(stream).values() for r in page)
    assert stored == sorted([b"before", b"x" * (limit - 1), b"after"])


@pytest.mark.parametrize("key", ["", "k" * 257, "\ud800"])
def test_bad_key_fails_alone(stream: Stream, key: str) -> None:
    results = stream.put([Record(key, b"1"), Record("k" * 256, b"2")])
    assert [r.error_code for r in results] == ["bad_key", ""]
    assert [r.data for page in everything(stream).values() for r in page] == [b"2"]


def test_limits_of_a_put(stream: Stream) -> None:
    limits = stream.capabilities
    assert len(stream.put(records(limits.max_records_per_put))) == limits.max_records_per_put
    with pytest.raises(DataError, match=rf"takes {limits.max_records_per_put} records, found 501"):
        stream.put(records(limits.max_records_per_put + 1))
    large = [Record("k", b"x" * (limits.max_record_bytes - 1))] * 5
    assert [r.error_code for r in stream.put(large)] == [""] * 5
    with pytest.raises(DataError, match=rf"takes {limits.max_bytes_per_put} bytes"):
        stream.put([*large, Record("k", b"")])
    assert sum(map(len, everything(stream).values())) == limits.max_records_per_put + 5


def test_large_records_come_in_several_reads(make_stream: MakeStream) -> None:
    stream = make_stream(shards=1)
    for _ in range(5):
        stream.put([Record("k", b"x" * 1_000_000)] * 5)
    [state] = stream.shards()
    page = stream.read(state.shard)
    assert 0 < len(page) < 25
    assert len(everything(stream)[state.shard]) == 25


def test_trim_removes_what_is_older_than_retention(make_stream: MakeStream, clock: Clock) -> None:
    stream = make_stream(shards=1)
    start = clock.now
    for hour in range(4):
        clock.now = start + timedelta(hours=hour)
        stream.put(records(10, hour * 10))
    [before] = stream.shards()

    clock.now = start + timedelta(hours=24)
    assert_trimmed(stream, clock.now, 0)
    assert len(stream.read(before.shard)) == 40
    clock.now = start + timedelta(hours=25, seconds=1)
    assert_trimmed(stream, clock.now, 20)
    [state] = stream.shards()
    assert state.newest == before.newest
    left = stream.read(state.shard)
    assert [r.data for r in left] == [b"%d" % n for n in range(20, 40)]
    assert_ends(stream, state, left)


def test_reader_behind_retention_is_told_how_many_are_gone(make_stream: MakeStream, clock: Clock) -> None:
    stream = make_stream(shards=1)
    stream.put(records(10))
    [state] = stream.shards()
    third = stream.read(state.shard)[2].sequence
    tenth = state.newest
    clock.now += timedelta(hours=30)
    stream.put(records(5, 10))
    stream.trim(now=clock.now)

    count = "7 " if stream.capabilities.counts else ""
    with pytest.raises(StateError, match=rf"{count}records behind sequence {third} were removed by retention"):
        stream.read(state.shard, after=third)
    assert [r.data for r in stream.read(state.shard, after=tenth)] == [b"10", b"11", b"12", b"13", b"14"]


def test_what_is_not_delivered_stays_however_old(make_stream: MakeStream, clock: Clock) -> None:
    stream = make_stream(shards=1)
    if not stream.capabilities.trims:
        pytest.skip("the service trims by age alone")
    stream.put(records(10))
    [state] = stream.shards()
    third = stream.read(state.shard)[2].sequence
    clock.now += timedelta(hours=30)
    assert stream.trim(now=clock.now, delivered={state.shard: ""}) == 0
    assert stream.trim(now=clock.now, delivered={state.shard: third}) == 3
    assert [r.data for r in stream.read(state.shard)] == [b"%d" % n for n in range(3, 10)]
    assert stream.trim(now=clock.now, delivered={state.shard: state.newest}) == 7


def test_sequences_are_not_used_again_after_all_was_trimmed(make_stream: MakeStream, clock: Clock) -> None:
    stream = make_stream(shards=1)
    stream.put(records(10))
    [before] = stream.shards()
    oldest = stream.read(before.shard)[0].sequence
    clock.now += timedelta(days=9)
    assert_trimmed(stream, clock.now, 10)
    [empty] = stream.shards()
    assert_ends(stream, empty, [])
    assert stream.read(before.shard) == stream.read(before.shard, after=before.newest) == []
    with pytest.raises(StateError, match="9 records" if stream.capabilities.counts else "records"):
        stream.read(before.shard, after=oldest)

    [result] = make_stream(shards=1).put([Record("k", b"new")])
    assert result.sequence > before.newest
    assert [r.data for r in stream.read(before.shard, after=before.newest)] == [b"new"]


def test_trim_of_many_records_in_several_transactions(make_stream: MakeStream, clock: Clock) -> None:
    stream = make_stream(shards=1)
    for start in range(0, 25_000, 500):
        stream.put(records(500, start))
    clock.now += timedelta(hours=25)
    stream.put(records(1))
    assert_trimmed(stream, clock.now, 25_000)
    assert [len(page) for page in everything(stream).values()] == [1]


def test_times_of_arrival_grow_with_sequences_though_the_clock_steps_back(
    make_stream: MakeStream, clock: Clock
) -> None:
    stream = make_stream(shards=1)
    stream.put(records(1))
    first = clock.now
    clock.now -= timedelta(seconds=30)
    stream.put(records(1))
    clock.now += timedelta(hours=1, seconds=30)
    stream.put(records(1))
    [state] = stream.shards()
    times = [r.arrived_at for r in stream.read(state.shard)]
    assert times == [first, first, first + timedelta(hours=1)]


def test_more_shards_keep_what_the_old_ones_hold(make_stream: MakeStream) -> None:
    make_stream(shards=2).put(records(40))
    more = make_stream(shards=3)
    more.put(records(40, 40))
    assert len(more.shards()) >= 3
    assert sorted(int(r.data) for page in everything(more).values() for r in page) == list(range(80))


def test_fewer_shards_still_read_the_closed_ones(make_stream: MakeStream) -> None:
    before = make_stream(shards=3)
    before.put(records(40))
    fewer = make_stream(shards=1)
    results = fewer.put(records(40, 40))
    assert len({r.shard for r in results}) == 1
    assert len(fewer.shards()) >= 3
    assert sorted(int(r.data) for page in everything(fewer).values() for r in page) == list(range(80))


def test_threads_put_at_once(stream: Stream) -> None:
    def produce(start: int) -> None:
        for offset in range(0, 200, 20):
            stream.put(records(20, start + offset))

    threads = [threading.Thread(target=produce, args=(n * 200,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(r.data) for page in everything(stream).values() for r in page) == list(range(800))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    puts=st.lists(st.lists(st.tuples(st.sampled_from(KEYS), st.binary(max_size=20)), max_size=6), max_size=6),
    limit=st.integers(1, 7),
)
def test_a_shard_is_the_list_of_what_was_put(
    make_stream: MakeStream, puts: list[list[tuple[str, bytes]]], limit: int
) -> None:
    stream = make_stream()
    ends = {s.shard: s.newest for s in stream.shards()}
    expected: dict[str, list[tuple[str, bytes]]] = {shard: [] for shard in ends}
    for put in puts:
        results = stream.put([Record(key, value) for key, value in put])
        for result, pair in zip(results, put, strict=True):
            expected[result.shard].append(pair)
    for shard, wanted in expected.items():
        found: list[tuple[str, bytes]] = []
        after = ends[shard]
        while page := stream.read(shard, after=after, limit=limit):
            found += [(r.key, r.data) for r in page]
            after = page[-1].sequence
        assert found == wanted
