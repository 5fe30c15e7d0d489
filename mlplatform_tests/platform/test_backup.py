"""A backup is whole while the state is written to, and is checked before anything is replaced."""

from __future__ import annotations

import sqlite3
import tarfile
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.errors import ConflictError, NotFoundError, StateError
from mlplatform.platform.backup import INDEX, backup, restore
from mlplatform.spec.home import Home, open_home

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = open_home(tmp_path / "home", profile="local")
    items = SqliteItemStore(made.items)
    items.put("things", "a", {"n": 1})
    items.close()
    (made.objects / "x").mkdir(parents=True)
    (made.objects / "x" / "data.csv").write_text("a,b\n1,2\n")
    made.logs.mkdir()
    (made.logs / "worker.log").write_text("noise")
    return made


def test_what_is_restored_is_what_was_there_without_logs(home: Home, tmp_path: Path) -> None:
    backup(home, tmp_path / "b.tar", now=NOW)
    restored = tmp_path / "other"
    done = restore(tmp_path / "b.tar", restored)
    assert done.made_at == NOW.isoformat()
    assert SqliteItemStore(Home(restored).items).get("things", "a").value == {"n": 1}  # type: ignore[union-attr]
    assert (restored / "objects" / "x" / "data.csv").read_text() == "a,b\n1,2\n"
    assert not (restored / "logs").exists()


def test_restored_objects_are_there_at_once(home: Home, tmp_path: Path) -> None:
    backup(home, tmp_path / "b.tar", now=NOW)
    restore(tmp_path / "b.tar", tmp_path / "other")
    listed = DirectoryObjectStore(Home(tmp_path / "other").objects, settle_s=3600).list("x/")
    assert [(info.key, info.size_bytes) for info in listed] == [("x/data.csv", 8)]


def test_a_database_is_whole_though_it_is_written_to(home: Home, tmp_path: Path) -> None:
    stop, items = threading.Event(), SqliteItemStore(home.items)

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            items.put("things", f"k{n % 50}", {"n": n})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backup(home, tmp_path / "b.tar", now=NOW)
    finally:
        stop.set()
        writer.join()
    restore(tmp_path / "b.tar", tmp_path / "other")
    with closing(sqlite3.connect(tmp_path / "other" / "items.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("key", ["x/2020-journal", "x/trade-wal", "x/trade-shm", "x/data.csv-wal"])
def test_objects_are_kept_whatever_they_are_called(home: Home, tmp_path: Path, key: str) -> None:
    DirectoryObjectStore(home.objects).put(key, b"a\n")
    backup(home, tmp_path / "b.tar", now=NOW)
    restore(tmp_path / "b.tar", tmp_path / "other")
    assert key in [info.key for info in DirectoryObjectStore(Home(tmp_path / "other").objects).list("")]


@pytest.mark.parametrize("room", ["objects/files", "tracking/artifacts/m", "jobs/a/opt/ml/model"])
def test_a_database_of_somebody_else_keeps_its_bytes(home: Home, tmp_path: Path, room: str) -> None:
    path = home.root / room / "theirs.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE a (x)")
        connection.execute("INSERT INTO a VALUES (1)")
        connection.commit()
        bytes_then = path.read_bytes()
        backup(home, tmp_path / "b.tar", now=NOW)
    restore(tmp_path / "b.tar", tmp_path / "other")
    assert (tmp_path / "other" / room / "theirs.db").read_bytes() == bytes_then


def test_what_is_half_made_or_no_object_is_left_out(home: Home, tmp_path: Path) -> None:
    (home.objects / ".incoming").mkdir()
    (home.objects / ".incoming" / "tmp1").write_text("half")
    (home.objects / "x" / ".hidden").write_text("none")
    (home.objects / "x" / "link.csv").symlink_to(home.objects / "x" / "data.csv")
    (home.warehouse("shop") / "scratch" / "1-a").mkdir(parents=True)
    (home.warehouse("shop") / "scratch" / "1-a" / "spill").write_text("half")
    items = SqliteItemStore(home.items)
    items.put("things", "b", {"n": 2})
    backup(home, tmp_path / "b.tar", now=NOW)
    items.close()
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert tar.getnames() == [INDEX, "items.sqlite", "state.json", "objects/x/data.csv"]


def test_a_damaged_database_is_named(home: Home, tmp_path: Path) -> None:
    home.items.write_bytes(home.items.read_bytes()[:1000] + bytes(1000))
    with pytest.raises(StateError, match=r"items\.sqlite' cannot be copied: .*malformed"):
        backup(home, tmp_path / "b.tar", now=NOW)


def test_state_that_is_there_is_replaced_only_when_told_and_then_kept_beside(home: Home, tmp_path: Path) -> None:
    backup(home, tmp_path / "b.tar", now=NOW)
    (home.objects / "x" / "later.csv").write_text("c")
    with pytest.raises(ConflictError, match="There is state at"):
        restore(tmp_path / "b.tar", home.root)
    restore(tmp_path / "b.tar", home.root, replace=True)
    assert not (home.objects / "x" / "later.csv").exists()
    (kept,) = tmp_path.glob("home.before-restore-*")
    assert (kept / "objects" / "x" / "later.csv").read_text() == "c"


def test_a_damaged_backup_names_the_file_and_changes_nothing(home: Home, tmp_path: Path) -> None:
    backup(home, tmp_path / "b.tar", now=NOW)
    with tarfile.open(tmp_path / "b.tar") as tar:
        tar.extractall(tmp_path / "out", filter="data")
    (tmp_path / "out" / "objects" / "x" / "data.csv").write_text("a,b\n1,3\n")
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        for name in (INDEX, "state.json", "items.sqlite", "objects"):
            tar.add(tmp_path / "out" / name, arcname=name)
    with pytest.raises(StateError, match=r"'objects/x/data\.csv' in the backup .* is damaged"):
        restore(tmp_path / "bad.tar", home.root, replace=True)
    assert (home.objects / "x" / "data.csv").read_text() == "a,b\n1,2\n"
    assert not list(tmp_path.glob(".home-restore-*"))


def test_a_backup_never_overwrites_and_needs_state(home: Home, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("mine")
    with pytest.raises(ConflictError):
        backup(home, tmp_path / "b.tar", now=NOW)
    with pytest.raises(NotFoundError, match="There is no state"):
        backup(Home(tmp_path / "nowhere"), tmp_path / "c.tar", now=NOW)
