"""What is the directory store's alone: files that people copy into it, crashes, rights."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlplatform.adapters.object_store import file_etag
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.ports.object_store import ObjectInfo

DEADLINE_S = 20.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def store(root: Path) -> DirectoryObjectStore:
    return DirectoryObjectStore(root, settle_s=0.2)


def appears(store: DirectoryObjectStore, key: str) -> ObjectInfo:
    deadline = time.monotonic() + DEADLINE_S
    while (info := store.head(key)) is None:
        assert time.monotonic() < deadline, f"'{key}' never became an object"
        time.sleep(0.02)
    return info


def test_copied_file_becomes_an_object_with_the_etag_of_its_bytes(store: DirectoryObjectStore, root: Path) -> None:
    put = store.put("a/put.csv", b"x,y\n1,2\n")
    shutil.copy(root / "a" / "put.csv", root / "a" / "copied.csv")
    copied = appears(store, "a/copied.csv")
    assert (copied.size_bytes, copied.etag) == (put.size_bytes, put.etag)
    assert [i.key for i in store.list("a/")] == ["a/copied.csv", "a/put.csv"]


def test_fresh_copy_is_not_an_object_until_it_is_settled(root: Path) -> None:
    store = DirectoryObjectStore(root, settle_s=3600)
    (root / "copied").write_bytes(b"half")
    os.utime(root / "copied", (0, 0))
    assert store.head("copied") is None
    assert list(store.list("")) == []
    with pytest.raises(NotFoundError, match="'copied'"):
        store.open("copied")


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
def test_file_that_is_open_for_writing_is_not_an_object_however_long(root: Path) -> None:
    store = DirectoryObjectStore(root, settle_s=0)
    with (root / "copied").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        assert [i.key for i in store.list("")] == []
        writer.write(b" and whole")
    with (root / "copied").open("rb"):
        [found] = store.list("")
    assert (found.key, found.size_bytes) == ("copied", 14)


def test_writer_that_opens_the_file_during_a_listing_harms_nobody(root: Path) -> None:
    store = DirectoryObjectStore(root, settle_s=0)
    for number in range(200):
        (root / f"{number:03d}").write_bytes(b"x")
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            for number in range(200):
                with (root / f"{number:03d}").open("ab") as file:
                    file.write(b"y")

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(5):
        list(store.list(""))
    done.set()
    writer.join()
    sizes = {i.key: i.size_bytes for i in store.list("")}
    assert sizes == {path.name: path.stat().st_size for path in root.iterdir() if path.is_file()}


def test_copied_file_is_read_once_however_often_it_is_listed(
    store: DirectoryObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "copied").write_bytes(b"bytes")
    first = appears(store, "copied")
    monkeypatch.setattr(file_etag, "settled_etag", None)
    assert DirectoryObjectStore(root).head("copied") == first
    assert list(store.list("")) == [first]


def test_file_edited_in_place_gets_a_new_etag(store: DirectoryObjectStore, root: Path) -> None:
    before = store.put("k", b"one")
    (root / "k").write_bytes(b"two")
    after = appears(store, "k")
    assert after.etag != before.etag
    assert after.etag == store.put("other", b"two").etag


def test_without_extended_attributes_etags_are_remembered(
    store: DirectoryObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    monkeypatch.setattr(os, "getxattr", refuse)
    put = store.put("k", b"bytes")
    (root / "copied").write_bytes(b"bytes")
    assert appears(store, "copied").etag == put.etag
    assert store.head("k") == put


def test_what_is_no_object(store: DirectoryObjectStore, root: Path) -> None:
    (root / ".hidden").write_bytes(b"")
    (root / "folder").mkdir()
    (root / "folder" / ".part.csv").write_bytes(b"")
    (root / "link").symlink_to("/etc/hostname")
    (root / "folder-link").symlink_to("/etc")
    os.mkfifo(root / "pipe")
    Path(os.fsdecode(bytes(root) + b"/no-\xff-text")).write_bytes(b"")
    store.put("object", b"")
    assert [i.key for i in store.list("")] == ["object"]
    assert [store.head(key) for key in ("link", "pipe", "folder")] == [None] * 3


def test_symbolic_links_do_not_lead_out(store: DirectoryObjectStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"")
    (root / "link").symlink_to(tmp_path / "outside")
    assert list(store.list("link/")) == []
    for use in (store.head, store.open, store.delete, lambda key: store.put(key, b"x")):
        with pytest.raises(ConflictError, match="symbolic link"):
            use("link/file")
    assert [p.name for p in (tmp_path / "outside").iterdir()] == ["file"]


def test_root_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    store = DirectoryObjectStore(tmp_path / "root")
    put = store.put("a/b", b"x")
    assert list(store.list("a/")) == [put]


def test_put_and_copy_leave_no_temporary_files(store: DirectoryObjectStore, root: Path) -> None:
    store.put("a", b"x")
    store.put("a", b"y")
    assert sorted(path.name for path in root.rglob("*")) == [".incoming", "a"]


def test_abandoned_uploads_are_swept_after_a_day(store: DirectoryObjectStore, root: Path) -> None:
    old, young = root / ".incoming" / "old", root / ".incoming" / "young"
    old.write_bytes(b"")
    young.write_bytes(b"")
    os.utime(old, (time.time() - 100_000,) * 2)
    DirectoryObjectStore(root)
    assert [path.name for path in (root / ".incoming").iterdir()] == ["young"]


PUTTER = """
import sys
from pathlib import Path
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
store = DirectoryObjectStore(Path(sys.argv[1]))
n = 0
while True:
    store.put("same", bytes([n % 251]) * 300_000)
    store.put(f"many/{n:06d}", bytes([n % 251]) * 1000)
    print(n, flush=True)
    n += 1
"""


def test_kill_9_in_mid_put_leaves_whole_objects_only(root: Path) -> None:
    store = DirectoryObjectStore(root)
    for round_ in range(4):
        with subprocess.Popen([sys.executable, "-c", PUTTER, str(root)], stdout=subprocess.PIPE, text=True) as putter:
            assert putter.stdout is not None
            lines = [putter.stdout.readline() for _ in range(3 + round_)]
            putter.kill()
        promised = int(lines[-1])
        with store.open("same") as stream:
            data = stream.read()
        assert len(data) == 300_000
        assert len(set(data)) == 1
        listed = [info.key for info in store.list("many/")]
        assert listed[: promised + 1] == [f"many/{n:06d}" for n in range(promised + 1)]
        assert {info.size_bytes for info in store.list("many/")} == {1000}


def test_file_size_limit_is_said_and_leaves_the_old_object(root: Path) -> None:
    store = DirectoryObjectStore(root)
    before = store.put("k", b"old")
    limited = """
import resource, signal, sys
from pathlib import Path
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.errors import UnavailableError
store = DirectoryObjectStore(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.put("k", b"x" * 3_000_000)
except UnavailableError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", limited, str(root)], capture_output=True, text=True, check=True)
    assert done.stdout == f"Object 'k' in '{root}': File too large. Check the disk (space, mount).\n"
    assert store.head("k") == before
    assert list((root / ".incoming").iterdir()) == []
