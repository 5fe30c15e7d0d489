"""The contract of the object store port, over every adapter."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplatform.errors import ConflictError, DataError, NotFoundError
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.object_stores import ministack_server, object_store

__all__ = ["ministack_server", "object_store"]

MIB = 1024 * 1024


def read(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as stream:
        return stream.read()


def keys(store: ObjectStore, prefix: str, after: str = "") -> list[str]:
    return [info.key for info in store.list(prefix, after=after)]


def test_put_is_read_back_and_described(object_store: ObjectStore) -> None:
    put = object_store.put("a/b.txt", b"hello")

    assert read(object_store, "a/b.txt") == b"hello"
    head = object_store.head("a/b.txt")
    assert head is not None
    assert (head.key, head.size_bytes, head.etag) == ("a/b.txt", 5, put.etag)
    [listed] = object_store.list("a/")
    assert (listed.key, listed.size_bytes, listed.etag) == ("a/b.txt", 5, put.etag)
    assert abs(listed.modified - head.modified) < timedelta(seconds=1)
    assert head.modified.tzinfo is UTC
    assert abs(head.modified - datetime.now(UTC)) < timedelta(minutes=5)
    assert abs(put.modified - head.modified) < timedelta(seconds=5)


def test_put_takes_a_file_and_a_stream(object_store: ObjectStore, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"from a file")
    object_store.put("file", file)
    object_store.put("stream", io.BytesIO(b"from a stream"))

    assert read(object_store, "file") == b"from a file"
    assert read(object_store, "stream") == b"from a stream"


def test_put_of_no_such_file_stores_nothing(object_store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        object_store.put("x", tmp_path / "absent")
    assert object_store.head("x") is None


class Trickle(io.RawIOBase):
    """A stream that gives `size_bytes` in odd pieces and remembers the most that was asked at once."""

    def __init__(self, size_bytes: int) -> None:
        self.left = size_bytes
        self.most = 0

    def read(self, size: int = -1) -> bytes:
        self.most = max(self.most, size if size >= 0 else 1 << 60)
        given_now = min(self.left, 1_000_003, size if size >= 0 else self.left)
        self.left -= given_now
        return b"x" * given_now


@pytest.mark.parametrize("size_bytes", [8 * MIB - 1, 8 * MIB, 20 * MIB + 7])
def test_large_put_is_streamed_whole(object_store: ObjectStore, size_bytes: int) -> None:
    source = Trickle(size_bytes)
    info = object_store.put("large", cast(BinaryIO, source))

    assert info.size_bytes == size_bytes
    assert source.most <= 8 * MIB
    with object_store.open("large") as stream:
        read_back = 0
        while chunk := stream.read(MIB):
            assert chunk.count(b"x") == len(chunk)
            read_back += len(chunk)
    assert read_back == size_bytes


class Broken(io.RawIOBase):
    """A stream that fails after nine MiB."""

    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        if self.given >= 9 * MIB:
            raise ConnectionResetError("the source broke")
        self.given += MIB
        return b"x" * MIB


def test_source_that_breaks_leaves_the_old_object(object_store: ObjectStore) -> None:
    before = object_store.put("k", b"old")
    with pytest.raises(ConnectionResetError, match="the source broke"):
        object_store.put("k", cast(BinaryIO, Broken()))

    assert read(object_store, "k") == b"old"
    assert [(i.key, i.etag) for i in object_store.list("")] == [("k", before.etag)]


def test_empty_object_is_an_object(object_store: ObjectStore) -> None:
    object_store.put("empty", b"")
    assert read(object_store, "empty") == b""
    assert [(i.key, i.size_bytes) for i in object_store.list("")] == [("empty", 0)]


def test_etag_follows_the_content(object_store: ObjectStore) -> None:
    first = object_store.put("k", b"one").etag
    assert object_store.put("k", b"two").etag != first
    assert object_store.put("k", b"one").etag == first
    assert object_store.put("other", b"one").etag == first


def test_put_replaces_what_an_open_reader_still_reads_whole(object_store: ObjectStore) -> None:
    object_store.put("k", b"old")
    with object_store.open("k") as reader:
        object_store.put("k", b"new and longer")
        assert reader.read() == b"old"
    assert read(object_store, "k") == b"new and longer"


def test_if_absent_keeps_the_first(object_store: ObjectStore) -> None:
    object_store.put("k", b"first", if_absent=True)
    with pytest.raises(ConflictError, match="k"):
        object_store.put("k", b"second", if_absent=True)
    assert read(object_store, "k") == b"first"


def test_if_absent_of_a_large_object_keeps_the_first(object_store: ObjectStore) -> None:
    object_store.put("k", b"first")
    with pytest.raises(ConflictError):
        object_store.put("k", b"x" * (9 * MIB), if_absent=True)
    assert read(object_store, "k") == b"first"


def test_if_absent_has_one_winner_among_many(object_store: ObjectStore) -> None:
    won: list[int] = []
    start = threading.Barrier(8)

    def contend(number: int) -> None:
        start.wait()
        try:
            object_store.put("prize", str(number).encode(), if_absent=True)
        except ConflictError:
            return
        won.append(number)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert read(object_store, "prize") == str(won[0]).encode()


def test_what_is_not_there(object_store: ObjectStore) -> None:
    object_store.put("a/b", b"")
    assert object_store.head("a") is None
    assert object_store.head("a/b/c") is None
    with pytest.raises(NotFoundError, match="a/c"):
        object_store.open("a/c")
    with pytest.raises(NotFoundError):
        object_store.open("a")
    assert keys(object_store, "b") == []
    assert keys(object_store, "a/b/c/") == []


def test_delete_twice(object_store: ObjectStore) -> None:
    object_store.put("a/b", b"x")
    object_store.delete("a/b")
    object_store.delete("a/b")
    object_store.delete("never/there")
    assert object_store.head("a/b") is None
    assert keys(object_store, "") == []
    object_store.put("a/b", b"again", if_absent=True)
    assert read(object_store, "a/b") == b"again"


def test_list_is_in_order_of_utf8_bytes(object_store: ObjectStore) -> None:
    names = ["a-b", "a.txt", "a/b", "a/b-c", "a/b/c", "a0", "b/ü", "z", "ü", "\uffff", "😀"]
    if not object_store.capabilities.keys_below_keys:
        names.remove("a/b")
    for name in reversed(names):
        object_store.put(name, b"")
    assert keys(object_store, "") == sorted(names, key=str.encode)


def test_list_by_prefix_and_position(object_store: ObjectStore) -> None:
    for name in ("p/1", "p/2/x", "p/2/y", "p/3", "pq", "q/1"):
        object_store.put(name, b"")
    assert keys(object_store, "p") == ["p/1", "p/2/x", "p/2/y", "p/3", "pq"]
    assert keys(object_store, "p/") == ["p/1", "p/2/x", "p/2/y", "p/3"]
    assert keys(object_store, "p/2/x") == ["p/2/x"]
    assert keys(object_store, "p/", after="p/2/x") == ["p/2/y", "p/3"]
    assert keys(object_store, "p/", after="p/2") == ["p/2/x", "p/2/y", "p/3"]
    assert keys(object_store, "p/", after="p/2/z") == ["p/3"]
    assert keys(object_store, "p/", after="a") == ["p/1", "p/2/x", "p/2/y", "p/3"]
    assert keys(object_store, "p/", after="z") == []


def test_list_of_more_than_a_page(object_store: ObjectStore) -> None:
    names = [f"many/{number:04d}" for number in range(1203)]
    for name in names:
        object_store.put(name, b"")
    assert keys(object_store, "many/") == names
    assert keys(object_store, "many/", after="many/1199") == names[1200:]
    assert next(iter(object_store.list("many/", after="many/0500"))).key == "many/0501"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    names=st.lists(st.text("ab/-0é", min_size=1, max_size=6), min_size=1, max_size=8, unique=True),
    prefix=st.text("ab/-0", max_size=3),
    after=st.text("ab/-0", max_size=4),
)
def test_list_is_what_a_sorted_filter_says(
    object_store: ObjectStore, names: list[str], prefix: str, after: str
) -> None:
    for old in list(object_store.list("")):
        object_store.delete(old.key)
    stored = []
    for name in names:
        try:
            object_store.put(name, b"")
        except DataError:
            continue  # no key
        except ConflictError:
            assert not object_store.capabilities.keys_below_keys
            continue
        stored.append(name)
    try:
        listed = keys(object_store, prefix, after)
    except DataError:
        return
    assert listed == sorted((n for n in stored if n.startswith(prefix) and n > after), key=str.encode)


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/./b", ".hidden", "a/.hidden", "a\x00b", "a\nb", "a\x7f",
     "\ud800", "k" * 256, "/".join("k" * 200 for _ in range(6))],
)  # fmt: skip
def test_bad_key_is_refused_everywhere(object_store: ObjectStore, key: str) -> None:
    for use in (
        lambda: object_store.put(key, b""),
        lambda: object_store.open(key),
        lambda: object_store.head(key),
        lambda: object_store.delete(key),
    ):
        with pytest.raises(DataError, match="cannot name an object"):
            use()


def test_prefix_cannot_climb_out(object_store: ObjectStore) -> None:
    with pytest.raises(DataError, match="cannot name an object"):
        keys(object_store, "../")


def test_odd_but_good_keys(object_store: ObjectStore) -> None:
    names = ["a b", "a+b", "a%20b", "a?b", "a*b", "ä/ö", "a'b", 'a"b', "a=1/b=2", "k" * 255, "a\\b", "a&b<c>", "~x"]
    for name in names:
        object_store.put(name, name.encode())
    assert keys(object_store, "") == sorted(names, key=str.encode)
    assert [read(object_store, name) for name in names] == [name.encode() for name in names]


def test_key_below_a_key_is_as_declared(object_store: ObjectStore) -> None:
    object_store.put("a", b"1")
    if object_store.capabilities.keys_below_keys:
        object_store.put("a/b", b"2")
        assert keys(object_store, "") == ["a", "a/b"]
    else:
        with pytest.raises(ConflictError, match="a/b"):
            object_store.put("a/b", b"2")
        object_store.put("x/y", b"3")
        with pytest.raises(ConflictError, match="x"):
            object_store.put("x", b"4")
        assert keys(object_store, "") == ["a", "x/y"]


def test_url_names_the_object(object_store: ObjectStore) -> None:
    object_store.put("a/b c", b"bytes")
    url = object_store.url("a/b c")
    assert url.endswith("/a/b c")
    if url.startswith("/"):
        assert Path(url).read_bytes() == b"bytes"
    else:
        assert url.startswith("s3://")
