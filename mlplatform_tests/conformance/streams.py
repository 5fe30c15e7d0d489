"""Every stream adapter, empty, for the suite of the port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.stream.kinesis import KinesisSettings, KinesisStream
from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.ports.stream import Stream
from mlplatform.spec.stream import DeliverySpec, StreamSpec
from mlplatform_tests.servers.kinesis.server import Kinesis, kinesis

ADAPTERS = ("sqlite", "kinesis")

MakeStream = Callable[..., Stream]
"""Opens the test's stream, from the second call on the same one anew, as another process would: ``(shards=2)``.

Of a stream whose shards the service keeps, another number is set there before.
"""


class Clock:
    """Times of arrival, as a test sets them."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def stream_spec(shards: int = 2) -> StreamSpec:
    return StreamSpec(
        name="prices",
        partition_key="ticker",
        shards=shards,
        retention_h=24,
        delivery=DeliverySpec(prefix="landing/"),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=ADAPTERS)
def make_stream(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[MakeStream]:
    if request.param == "sqlite":
        yield from _sqlite(tmp_path / "stream", clock)
    else:
        with kinesis(clock) as server:
            yield from _kinesis(server)


def _sqlite(folder: Path, clock: Clock) -> Iterator[MakeStream]:
    opened: list[SqliteStream] = []

    def make(shards: int = 2) -> Stream:
        opened.append(SqliteStream(folder, stream_spec(shards), clock=clock))
        return opened[-1]

    yield make
    for stream in opened:
        stream.close()


def _kinesis(server: Kinesis) -> Iterator[MakeStream]:
    opened: list[KinesisStream] = []

    def make(shards: int = 2) -> Stream:
        there = server.streams.get("test-prices")
        if there is not None and len(there.open) != shards:
            there.count(shards)
        opened.append(kinesis_stream(server, shards))
        return opened[-1]

    yield make
    for stream in opened:
        stream.close()


def kinesis_stream(server: Kinesis, shards: int = 2, **settings: Any) -> KinesisStream:
    """The stream on `server`, made on first use, and read as fast as the server answers."""
    found = KinesisSettings.model_validate({"create": True, "reads_per_s": 10_000, **settings})
    options = server.client_options
    return KinesisStream(found, "test", stream_spec(shards), client_options=options, clock=server.clock)


@pytest.fixture
def stream(make_stream: MakeStream) -> Stream:
    return make_stream()
