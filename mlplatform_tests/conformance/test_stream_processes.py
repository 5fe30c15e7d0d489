"""What holds on a stream when its producers are processes, and some of them are killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.ports.stream import Record
from mlplatform_tests.conformance.producer import acknowledged, start
from mlplatform_tests.conformance.streams import stream_spec
from mlplatform_tests.conformance.test_stream import everything


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[SqliteStream]:
    found = SqliteStream(tmp_path / "stream", stream_spec())
    yield found
    found.close()


def stored(stream: SqliteStream) -> dict[tuple[str, str], bytes]:
    return {(shard, r.sequence): r.data for shard, page in everything(stream).items() for r in page}


def assert_dense(stream: SqliteStream) -> None:
    for page in everything(stream).values():
        assert [int(r.sequence) for r in page] == list(range(1, len(page) + 1))


def test_four_producer_processes(stream: SqliteStream, tmp_path: Path) -> None:
    producers = [start(tmp_path / "stream", name, 1000, 50) for name in "abcd"]
    outputs = [producer.communicate(timeout=120)[0] for producer in producers]

    assert [producer.returncode for producer in producers] == [0, 0, 0, 0]
    promised = {(shard, sequence): data for output in outputs for shard, sequence, data in acknowledged(output)}
    assert len(promised) == 4000
    assert stored(stream) == promised
    assert_dense(stream)
    for page in everything(stream).values():
        by_key: dict[str, list[int]] = {}
        for record in page:
            by_key.setdefault(record.key, []).append(int(record.data.split(b":")[1]))
        assert all(numbers == sorted(numbers) for numbers in by_key.values())


def kill_after(producer: subprocess.Popen[str], lines: int) -> str:
    """Kill the producer once it has printed `lines` lines; all it printed."""
    assert producer.stdout is not None
    with producer:
        seen = [producer.stdout.readline() for _ in range(lines)]
        producer.kill()
        return "".join(seen) + producer.stdout.read()


def test_kill_9_of_a_producer_loses_nothing_acknowledged(stream: SqliteStream, tmp_path: Path) -> None:
    promised: dict[tuple[str, str], bytes] = {}
    for number in range(6):
        output = kill_after(start(tmp_path / "stream", f"p{number}", 1_000_000, 10 + number), 3 + 7 * number)
        promised |= {(shard, sequence): data for shard, sequence, data in acknowledged(output)}

        found = stored(stream)
        assert promised.items() <= found.items()
        assert_dense(stream)
    assert len(promised) >= 6 * 3 * 10

    [result] = stream.put([Record("after", b"the kill")])
    assert stored(stream)[result.shard, result.sequence] == b"the kill"


def test_kill_9_beside_another_producer_harms_only_itself(stream: SqliteStream, tmp_path: Path) -> None:
    steady = start(tmp_path / "stream", "steady", 2000, 20)
    kill_after(start(tmp_path / "stream", "victim", 1_000_000, 20), 5)
    output, _ = steady.communicate(timeout=120)

    assert steady.returncode == 0
    promised = {(shard, sequence): data for shard, sequence, data in acknowledged(output)}
    assert len(promised) == 2000
    assert promised.items() <= stored(stream).items()
    assert_dense(stream)
