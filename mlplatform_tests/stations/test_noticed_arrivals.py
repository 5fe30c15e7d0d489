"""Arrivals by notices: one that comes twice, late or never loses and doubles nothing, and a look lists nothing meanwhile."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform.adapters.arrivals.sqs import SqsArrivals, SqsSettings
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.object_store.s3 import S3ObjectStore, S3Settings
from mlplatform.core.loads.landing import landing_key, landing_line
from mlplatform.errors import StateError
from mlplatform.stations.inbox import LOG, ROUNDS, Inbox
from mlplatform.stations.ingest import Ingest
from mlplatform_tests.conformance.object_stores import ministack_server, s3_store
from mlplatform_tests.conformance.warehouses import SharedDuckLake, shared_ducklake
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.stations.landed_house import HEADER, STREAM, s, spec, told

__all__ = ["ministack_server", "shared_ducklake"]

NEVER_S = 100_000.0


@dataclass
class Place:
    """A bucket whose writes are told of when the test says so, a table that is loaded from it, and what S3 was asked for."""

    server: Ministack
    store: S3ObjectStore
    warehouse: Any
    items: SqliteItemStore
    queue: str
    sqs: Any
    asked: list[str] = field(default_factory=list)
    opened: list[SqsArrivals] = field(default_factory=list)

    @property
    def bucket(self) -> str:
        return self.store.url("").removeprefix("s3://").partition("/")[0]

    def inbox(self, *, page_s: float = NEVER_S, now: Callable[[], float] = time.time) -> Inbox:
        """As another process opens it; each asking is a poll."""
        settings = SqsSettings(queue=self.queue, poll_s=1e-9, page_s=page_s)
        place = S3Settings(bucket=self.bucket, prefix="below/here")
        self.opened.append(SqsArrivals(settings, place, client_options=self.server.client_options))
        return Inbox(self.opened[-1], self.items, now=now)

    def ingest(self, **inbox: Any) -> Ingest:
        """A loader whose round over what lies there already is done."""
        found = Ingest(
            self.warehouse, self.store, spec(), system="test", streams={"ticks": STREAM}, inbox=self.inbox(**inbox)
        )
        turn(found)
        self.asked.clear()
        return found

    def put(self, key: str, data: bytes) -> str:
        return self.store.put(key, data).etag

    def tell(self, key: str, etag: str = "") -> None:
        """S3's word on a write."""
        detail = {"bucket": {"name": self.bucket}, "object": {"key": f"below/here/{key}", "etag": etag}}
        self.send({"source": "aws.s3", "detail-type": "Object Created", "detail": detail})

    def send(self, message: object) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(message))

    @property
    def url(self) -> str:
        return str(self.sqs.get_queue_url(QueueName=self.queue)["QueueUrl"])

    def tickers(self) -> list[str]:
        return [row["ticker"] for row in self.warehouse.query("SELECT ticker FROM ticks_table ORDER BY 1").to_pylist()]


def turn(station: Ingest) -> list[tuple[str, str, int, int]]:
    """A worker's turn."""
    return told(station.run(for_s=60))


@pytest.fixture
def place(ministack_server: Ministack, shared_ducklake: SharedDuckLake, tmp_path: Path) -> Iterator[Place]:
    store = s3_store(ministack_server)
    sqs = boto3.client("sqs", **ministack_server.client_options)
    queue = f"arrivals-{uuid.uuid4().hex}"
    sqs.create_queue(QueueName=queue)
    found = Place(
        ministack_server, store, shared_ducklake.empty(), SqliteItemStore(tmp_path / "items.sqlite"), queue, sqs
    )
    store._client.meta.events.register("before-call.s3", lambda model, **_: found.asked.append(model.name))
    yield found
    for each in (*found.opened, found.store, found.items, sqs):
        each.close()


def test_an_object_that_is_told_of_is_loaded_and_nothing_is_listed(place: Place) -> None:
    station = place.ingest()
    place.put("base/a.csv", HEADER + b"A,1\n")
    assert turn(station) == []
    place.tell("base/a.csv")
    assert turn(station) == [("base/a.csv", "loaded", 1, 1)]
    place.asked.clear()
    assert turn(station) == []
    assert "ListObjectsV2" not in place.asked


def test_told_twice_and_again_by_a_queue_that_forgot_nothing_it_is_loaded_once(place: Place) -> None:
    station = place.ingest()
    etag = place.put("base/a.csv", HEADER + b"A,1\n")
    for _ in range(3):
        place.tell("base/a.csv", etag)
    assert turn(station) == [("base/a.csv", "loaded", 1, 1)]
    place.tell("base/a.csv", etag)
    assert turn(station) == []
    assert turn(place.ingest()) == []
    assert place.tickers() == ["A"]


def test_what_is_never_told_is_found_by_the_round(place: Place) -> None:
    turn(place.ingest())
    place.put("base/a.csv", HEADER + b"A,1\n")
    place.put("in/b.csv", HEADER + b"B,1\n")
    assert turn(place.ingest()) == []
    later = place.ingest(now=lambda: time.time() + 2 * NEVER_S)
    assert place.tickers() == ["A", "B"]
    assert turn(later) == []


def test_a_round_goes_on_where_another_process_left_it(place: Place) -> None:
    for number in range(3):
        place.put(f"base/{number}.csv", HEADER + b"A%d,1\n" % number)
    place.ingest(page_s=NEVER_S)
    assert place.tickers() == ["A0", "A1", "A2"]
    place.ingest(page_s=NEVER_S)
    assert place.asked == []
    rounds = [item.key for item in place.items.list(ROUNDS)]
    assert rounds == ["test/ticks_table:base/", "test/ticks_table:in/"]


def test_a_notice_that_another_process_took_is_seen_here_too(place: Place) -> None:
    station = place.ingest()
    place.put("base/a.csv", HEADER + b"A,1\n")
    place.tell("base/a.csv")
    assert place.inbox().pull()
    assert turn(station) == [("base/a.csv", "loaded", 1, 1)]


def test_two_tables_that_load_the_same_objects_are_both_told(place: Place) -> None:
    first = place.ingest()
    other = spec(name="other_table", sources=[{"prefix": "base/"}])
    second = Ingest(place.warehouse, place.store, other, system="test", streams={}, inbox=place.inbox())
    turn(second)
    place.put("base/a.csv", HEADER + b"A,1\n")
    place.tell("base/a.csv")
    assert turn(first) == [("base/a.csv", "loaded", 1, 1)]
    assert turn(second) == [("base/a.csv", "loaded", 1, 1)]


def test_a_delivered_range_is_loaded_when_it_is_told_of(place: Place) -> None:
    station = place.ingest()
    key = landing_key("in/", "0", "", s(2))
    place.put(key, b"\n".join(landing_line(s(n), b'{"ticker":"T%d","price":1}' % n) for n in (1, 2)))
    assert turn(station) == []
    place.tell(key)
    assert turn(station) == [(key, "loaded", 2, 2)]
    assert turn(station) == []
    place.asked.clear()
    assert turn(station) == []
    assert "ListObjectsV2" not in place.asked


def test_a_gap_of_a_stream_keeps_no_other_object_from_being_settled(place: Place) -> None:
    station = place.ingest()
    for last, upto in ((0, 2), (4, 6)):
        key = landing_key("in/", "0", s(last) if last else "", s(upto))
        lines = (landing_line(s(n), b'{"ticker":"T%d","price":1}' % n) for n in range(last + 1, upto + 1))
        place.put(key, b"\n".join(lines))
        place.tell(key)
    place.put("base/a.csv", HEADER + b"A,1\n")
    place.tell("base/a.csv")
    for item in list(place.items.list(ROUNDS)):
        place.items.delete(ROUNDS, item.key)
    assert len(turn(station)) == 2
    with pytest.raises(StateError, match="are in no landing object"):
        turn(station)
    assert place.tickers() == ["A", "T1", "T2"]
    assert {item.key for item in place.items.list(ROUNDS)} == {"test/ticks_table:base/", "test/ticks_table:in/"}
    place.asked.clear()
    with pytest.raises(StateError, match="are in no landing object"):
        turn(station)
    assert "HeadObject" not in place.asked


def test_what_lies_behind_a_burst_is_due_after_it_too(place: Place, tmp_path: Path) -> None:
    store = DirectoryObjectStore(tmp_path / "objects")
    station = Ingest(
        place.warehouse, store, spec(), system="test", streams={"ticks": STREAM}, inbox=place.inbox(page_s=NEVER_S)
    )
    turn(station)
    store.put("in/b.csv", HEADER + b"B,1\n")
    place.tell("in/b.csv")
    assert [plan.key for plan in station._due.look(noticed=True).plans] == ["in/b.csv"]
    burst = [f"base/{number}.csv" for number in range(500)]
    for key in burst:
        store.put(key, HEADER + b"A,1\n")
    place.items.delete(ROUNDS, "test/ticks_table:base/")
    assert len(station._due.look(noticed=True).plans) == 500
    for key in burst:
        store.delete(key)
    assert turn(station) == [("in/b.csv", "loaded", 1, 1)]


def test_a_burst_that_is_looked_at_once_is_looked_at_again(place: Place, tmp_path: Path) -> None:
    store = DirectoryObjectStore(tmp_path / "objects")
    station = Ingest(
        place.warehouse, store, spec(), system="test", streams={"ticks": STREAM}, inbox=place.inbox(page_s=NEVER_S)
    )
    assert station.plan(noticed=True) == []
    burst = [f"base/{number:03}.csv" for number in range(501)]
    for key in burst:
        store.put(key, HEADER + b"A,1\n")
    written = [{"bucket": {"name": place.bucket}, "object": {"key": f"below/here/{key}"}} for key in burst]
    place.send({"Records": [{"eventName": "ObjectCreated:Put", "s3": each} for each in written]})
    first = {plan.key for plan in station.plan(noticed=True)}
    assert len(first) == 500
    for key in first:
        store.delete(key)
    assert {plan.key for plan in station.plan(noticed=True)} == set(burst) - first


def test_a_process_whose_clock_is_ahead_keeps_nobody_from_seeing_what_others_write(place: Place) -> None:
    reader = place.inbox()
    place.tell("base/a.csv")
    assert place.inbox(now=lambda: time.time() + 600).pull()
    assert reader.pull()
    place.tell("base/b.csv")
    assert place.inbox().pull()
    assert reader.pull()
    assert {hint.notice.key for hint in reader.hints("base/")} == {"base/a.csv", "base/b.csv"}


def test_what_was_deleted_before_it_was_looked_at_is_let_go(place: Place) -> None:
    station = place.ingest()
    place.tell("base/gone.csv")
    assert turn(station) == []
    assert turn(station) == []


def test_a_sensor_that_looks_once_plans_what_it_is_told_of(place: Place) -> None:
    place.put("base/old.csv", HEADER + b"A,1\n")
    place.ingest()
    etag = place.put("base/new.csv", HEADER + b"B,1\n")
    place.tell("base/new.csv", etag)
    place.tell("base/old.csv")
    for _ in range(2):
        fresh = Ingest(
            place.warehouse, place.store, spec(), system="test", streams={"ticks": STREAM}, inbox=place.inbox()
        )
        assert [plan.key for plan in fresh.plan(noticed=True)] == ["base/new.csv"]
    assert told(fresh.run()) == [("base/new.csv", "loaded", 1, 1)]


def test_without_the_queue_objects_are_listed(place: Place) -> None:
    station = place.ingest()
    place.sqs.delete_queue(QueueUrl=place.url)
    place.put("base/a.csv", HEADER + b"A,1\n")
    assert turn(station) == [("base/a.csv", "loaded", 1, 1)]


def test_a_message_that_is_none_of_s3s_is_left_out(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    station = place.ingest()
    place.send({"hello": "world"})
    place.put("base/a.csv", HEADER + b"A,1\n")
    place.tell("base/a.csv")
    assert turn(station) == [("base/a.csv", "loaded", 1, 1)]
    assert "no event of S3's" in caplog.text


def test_a_log_that_is_old_goes(place: Place) -> None:
    place.tell("base/a.csv")
    assert place.inbox().pull()
    assert len(list(place.items.list(LOG))) == 1
    assert place.inbox(now=lambda: time.time() + 7200).pull()
    assert list(place.items.list(LOG)) == []
