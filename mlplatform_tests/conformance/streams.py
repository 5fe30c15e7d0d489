"""Every stream adapter, empty, for the suite of the port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.ports.stream import Stream
from mlplatform.spec.stream import DeliverySpec, StreamSpec

ADAPTERS = ("sqlite",)

MakeStream = Callable[..., Stream]
"""Opens the test's stream, from the second call on the same one anew, as another process would: ``(shards=2)``."""


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
    opened: list[SqliteStream] = []

    def make(shards: int = 2) -> Stream:
        opened.append(SqliteStream(tmp_path / "stream", stream_spec(shards), clock=clock))
        return opened[-1]

    yield make
    for stream in opened:
        stream.close()


@pytest.fixture
def stream(make_stream: MakeStream) -> Stream:
    return make_stream()
