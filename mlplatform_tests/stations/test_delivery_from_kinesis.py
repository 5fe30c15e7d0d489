"""Delivery and ingest over Kinesis and S3: the same rows, receipts and quarantine as over what is embedded."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.stream.kinesis import KinesisSettings, KinesisStream
from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.stream import Record, Stream
from mlplatform.spec.stream import StreamSpec
from mlplatform.stations.delivery import Delivered, Delivery
from mlplatform.stations.ingest import Ingest
from mlplatform_tests.conformance.loader import TABLE
from mlplatform_tests.conformance.object_stores import ministack_server, s3_store
from mlplatform_tests.conformance.streams import Clock
from mlplatform_tests.servers.kinesis.server import Kinesis, kinesis
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.stations.landed import assert_delivered_once, landed

__all__ = ["ministack_server"]

SPEC = StreamSpec.model_validate(
    {
        "name": "ticks",
        "partition_key": "ticker",
        "shards": 2,
        "retention_h": 24,
        "delivery": {"prefix": "landing/ticks/"},
    }
)
TICKERS = [f"T{number}" for number in range(10)]


@dataclass(frozen=True)
class Place:
    """A stream, and the object store its records land in."""

    stream: Stream
    store: ObjectStore

    def deliver(self) -> list[Delivered]:
        """What waits, as a process does it that starts anew and comes late."""
        return Delivery(self.stream, self.store, SPEC, system="test").deliver(datetime.now(UTC) + timedelta(hours=1))


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Place]:
    stream = SqliteStream(tmp_path / "stream", SPEC)
    yield Place(stream, DirectoryObjectStore(tmp_path / "objects"))
    stream.close()


@pytest.fixture
def aws(ministack_server: Ministack) -> Iterator[Place]:
    settings = KinesisSettings(prefix=f"{uuid.uuid4().hex}-", create=True, reads_per_s=1000)
    stream = KinesisStream(settings, "test", SPEC, client_options=ministack_server.client_options)
    store = s3_store(ministack_server)
    yield Place(stream, store)
    stream.close()
    store.close()


def ticks(first: int, count: int) -> list[Record]:
    """Records of which every tenth is no JSON, every eleventh has a price below nothing, every thirteenth comes twice."""
    made = []
    for number in range(first, first + count):
        ticker = TICKERS[number % 7]
        tick = number - 1 if number % 13 == 0 else number
        price = -1.0 if number % 11 == 0 else number / 4
        data = json.dumps({"ticker": ticker, "tick": tick, "price": price}).encode()
        made.append(Record(ticker, b"no JSON" if number % 10 == 0 else data))
    return made


def load(place: Place, folder: Path) -> list[tuple[int, ...]]:
    """The receipts' counts by shard, of all that was put and delivered in two parts and loaded."""
    warehouse = DuckLakeWarehouse(folder, threads=1, memory_mib=256)
    station = Ingest(warehouse, place.store, TABLE, system="test", streams={"ticks": SPEC})
    counts: dict[str, tuple[int, ...]] = {}
    for first in (0, 200):
        assert [r.error_code for r in place.stream.put(ticks(first, 200))] == [""] * 200
        assert sum(d.records for d in place.deliver()) == 200
        for receipt in station.run():
            found = (receipt.arrived, receipt.loaded, receipt.quarantined, receipt.duplicates, receipt.filtered)
            before = counts.get(receipt.shard, (0,) * 5)
            counts[receipt.shard] = tuple(a + b for a, b in zip(before, found, strict=True))
    warehouse.close()
    return [counts[shard] for shard in sorted(counts)]


def test_receipts_are_the_same_as_of_the_embedded_stream(embedded: Place, aws: Place, tmp_path: Path) -> None:
    expected = load(embedded, tmp_path / "one")
    assert load(aws, tmp_path / "other") == expected
    assert sum(arrived for arrived, *_ in expected) == 400
    assert all(loaded and quarantined for _, loaded, quarantined, *_ in expected)
    assert_delivered_once(aws.store, "landing/ticks/", aws.stream)


def test_delivery_goes_on_where_another_process_left_off(aws: Place, ministack_server: Ministack) -> None:
    for number in range(3):
        aws.stream.put(ticks(number * 50, 50))
        assert sum(d.records for d in aws.deliver()) == 50
    assert aws.deliver() == []
    assert_delivered_once(aws.store, "landing/ticks/", aws.stream)


@pytest.fixture
def stand_in() -> Iterator[Kinesis]:
    with kinesis() as server:
        yield server


def test_shards_that_are_split_and_merged_are_delivered_once(stand_in: Kinesis, tmp_path: Path) -> None:
    settings = KinesisSettings(create=True, reads_per_s=1000)
    stream = KinesisStream(settings, "test", SPEC, client_options=stand_in.client_options)
    place = Place(stream, DirectoryObjectStore(tmp_path))
    stream.put(ticks(0, 100))
    held = stand_in.streams["test-ticks"]
    first, second = sorted(held.shards)
    delivered = place.deliver()
    stream.put(ticks(100, 100))
    held.split(first)
    stream.put(ticks(200, 100))
    delivered += place.deliver()
    held.merge(sorted(held.shards)[-1], second)
    stream.put(ticks(300, 100))
    delivered += place.deliver()
    delivered += place.deliver()
    assert sum(d.records for d in delivered) == 400
    assert_delivered_once(place.store, "landing/ticks/", stream)
    stream.close()


def test_records_of_a_split_shard_land_before_those_of_the_shards_made_from_it(
    stand_in: Kinesis, tmp_path: Path
) -> None:
    one = SPEC.model_copy(update={"shards": 1})
    stream = KinesisStream(
        KinesisSettings(create=True, reads_per_s=1000), "test", one, client_options=stand_in.client_options
    )
    store = DirectoryObjectStore(tmp_path)
    large = SPEC.delivery.model_copy(update={"max_age_s": 3600, "max_size_mib": 1})
    delivery = Delivery(stream, store, one.model_copy(update={"delivery": large}), system="test")

    stream.put([Record("k", b'{"n": 1}')])
    stand_in.streams["test-ticks"].split("shardId-000000000000")
    [result, _] = stream.put([Record("k", b'{"n": 2, "x": "%b"}' % (b"x" * 700_000))] * 2)
    now = datetime.now(UTC)
    assert delivery.deliver(now) == []
    delivered = delivery.deliver(now + timedelta(hours=2))
    assert [(d.shard, d.records) for d in delivered] == [
        ("shardId-000000000000", 1),
        (result.shard, 1),
        (result.shard, 1),
    ]
    stream.close()


def test_what_retention_took_before_delivery_is_told_once_and_delivery_goes_on(tmp_path: Path) -> None:
    clock = Clock()
    with kinesis(clock) as server:
        store = DirectoryObjectStore(tmp_path)

        def deliver() -> list[Delivered]:
            settings = KinesisSettings(create=True, reads_per_s=1000)
            one = SPEC.model_copy(update={"shards": 1})
            stream = KinesisStream(settings, "test", one, client_options=server.client_options, clock=clock)
            delivered = Delivery(stream, store, one, system="test").deliver(clock.now + timedelta(hours=1))
            stream.close()
            return delivered

        def put(number: int) -> None:
            server.streams["test-ticks"].put("k", base64.b64encode(b'{"n": %d}' % number).decode())

        assert deliver() == []
        put(1)
        assert [(d.records, d.lost) for d in deliver()] == [(1, "")]
        put(2)
        clock.now += timedelta(hours=25)
        put(3)
        [done] = deliver()
        assert (done.records, done.last != "") == (1, True)
        assert f"records behind sequence {done.last} were removed by retention, or may have been" in done.lost
        assert deliver() == []
        [_, found] = landed(store, "landing/ticks/")
        assert [line.get("n") for line in found.lines] == [None, 3]
        assert found.lines[0]["_sequence"] == f"{done.last}+lost"


def test_stream_that_was_idle_for_longer_than_retention_has_lost_nothing(tmp_path: Path) -> None:
    clock = Clock()
    with kinesis(clock) as server:
        settings = KinesisSettings(create=True, reads_per_s=1000)
        stream = KinesisStream(settings, "test", SPEC, client_options=server.client_options, clock=clock)
        place = Delivery(stream, DirectoryObjectStore(tmp_path), SPEC, system="test")
        for _ in range(3):
            stream.put(ticks(1, 9))
            delivered = place.deliver(clock.now + timedelta(hours=1))
            assert sum(d.records for d in delivered) == 9
            assert {d.lost for d in delivered} == {""}
            clock.now += timedelta(hours=60)
            assert place.deliver(clock.now + timedelta(hours=1)) == []
        stream.close()
