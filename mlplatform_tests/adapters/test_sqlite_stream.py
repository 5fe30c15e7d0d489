"""What is SQLite's alone in the embedded stream: files, formats, damage."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.errors import ConflictError, StateError
from mlplatform.ports.stream import Record
from mlplatform_tests.conformance.streams import stream_spec

RECORDS = [Record(f"key-{n}", b"%d" % n) for n in range(20)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "stream"


@pytest.fixture
def stream(root: Path) -> Iterator[SqliteStream]:
    found = SqliteStream(root, stream_spec())
    yield found
    found.close()


def test_looking_makes_no_files(stream: SqliteStream, root: Path) -> None:
    stream.shards()
    stream.read("shard-0000")
    assert list(root.iterdir()) == []


def test_every_commit_is_fsynced_in_write_ahead_mode(stream: SqliteStream, root: Path) -> None:
    stream.put(RECORDS)
    connection = sqlite3.connect(root / "shard-0000.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    shard = stream._shard("shard-0000")
    with shard._file.connection() as used:
        assert used.execute("PRAGMA synchronous").fetchone() == (2,)


def test_what_the_stream_no_longer_keeps_is_not_in_its_files(stream: SqliteStream, root: Path) -> None:
    marker = b"somebody-nobody-else-is"
    stream.put([Record(f"key-{n}", marker + b" %d" % n) for n in range(500)])
    stream.trim(now=datetime.now(UTC) + timedelta(days=400))
    stream.close()
    files = [path for path in root.rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if marker in path.read_bytes()] == []


def test_damaged_shard_fails_its_records_and_no_others(stream: SqliteStream, root: Path) -> None:
    before = stream.put(RECORDS)
    stream.close()
    (root / "shard-0000.sqlite").write_bytes(b"no database" * 1000)
    for left in root.glob("shard-0000.sqlite-*"):
        left.unlink()

    results = stream.put(RECORDS)
    assert {r.shard: r.error_code for r in results} == {"shard-0000": "state_error", "shard-0001": ""}
    assert "is damaged" in next(r.error_message for r in results if r.error_code)
    kept = [r.sequence for r in stream.read("shard-0001")]
    assert kept == [r.sequence for r in [*before, *results] if r.shard == "shard-0001"]


def test_file_of_another_format_is_refused(stream: SqliteStream, root: Path) -> None:
    stream.put(RECORDS)
    stream.close()
    connection = sqlite3.connect(root / "shard-0000.sqlite")
    connection.execute("PRAGMA user_version=7")
    connection.close()
    with pytest.raises(StateError, match="has format 7, this release reads 1"):
        stream.read("shard-0000")


def test_read_of_an_older_copy_says_so(stream: SqliteStream, root: Path) -> None:
    stream.put(RECORDS)
    [state, _] = stream.shards()
    stream.close()
    for file in root.glob("shard-0000*"):
        file.unlink()
    assert stream.read("shard-0000") == []
    with pytest.raises(ConflictError, match="this is another stream, or an older copy"):
        stream.read("shard-0000", after=state.newest)


def test_file_that_is_replaced_underneath_is_opened_anew(stream: SqliteStream, root: Path, tmp_path: Path) -> None:
    stream.put(RECORDS)
    stream.close()
    shutil.copytree(root, tmp_path / "backup")
    stream.put(RECORDS)
    assert [state.records for state in stream.shards()] == [18, 22]
    for file in root.iterdir():
        file.unlink()
    for file in (tmp_path / "backup").iterdir():
        file.rename(root / file.name)

    assert [state.records for state in stream.shards()] == [9, 11]
    stream.put(RECORDS)
    other = SqliteStream(root, stream_spec())
    assert [state.records for state in other.shards()] == [18, 22]
    other.close()


def test_forked_child_opens_its_own(stream: SqliteStream) -> None:
    stream.put(RECORDS)
    child = os.fork()
    if child == 0:
        failed = [r.error_code for r in stream.put(RECORDS) if r.error_code]
        os._exit(len(failed))
    assert os.waitpid(child, 0)[1] == 0
    stream.put(RECORDS)
    assert [state.records for state in stream.shards()] == [27, 33]
