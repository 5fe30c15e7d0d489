"""The contract of the item store port, over every adapter."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.errors import ConflictError, DataError, StateError
from mlplatform.ports.item_store import Item, ItemStore
from mlplatform_tests.conformance.item_stores import MakeItemStore, items, make_item_store

__all__ = ["items", "make_item_store"]

COUNTER = Path(__file__).with_name("counter.py")


def test_item_comes_back_as_it_was_put(items: ItemStore) -> None:
    value = {"text": "ü€😀", "none": None, "list": [1, 2.5, True], "big": 2**70, "nested": {"a": {}}}
    assert items.put("c", "k", value) == Item("k", value, 1)
    assert items.get("c", "k") == Item("k", value, 1)


def test_version_grows_with_every_write(items: ItemStore) -> None:
    assert [items.put("c", "k", {"n": n}).version for n in range(3)] == [1, 2, 3]
    assert items.get("c", "k") == Item("k", {"n": 2}, 3)


def test_what_is_not_there(items: ItemStore) -> None:
    assert items.get("c", "k") is None
    assert list(items.list("c")) == []
    items.delete("c", "k")


def test_deleted_key_starts_again_at_one(items: ItemStore) -> None:
    items.put("c", "k", {})
    items.put("c", "k", {})
    items.delete("c", "k")
    assert items.get("c", "k") is None
    assert items.put("c", "k", {}, expected_version=0).version == 1


def test_compare_and_set(items: ItemStore) -> None:
    items.put("c", "k", {"n": 1}, expected_version=0)
    assert items.put("c", "k", {"n": 2}, expected_version=1).version == 2
    for stale in (0, 1, 3):
        with pytest.raises(ConflictError, match=rf"'c/k' is at version 2; expected {stale}"):
            items.put("c", "k", {"n": 99}, expected_version=stale)
    with pytest.raises(ConflictError, match="is at version 0; expected 1"):
        items.put("c", "absent", {}, expected_version=1)
    assert items.get("c", "k") == Item("k", {"n": 2}, 2)
    assert items.get("c", "absent") is None


def test_collections_are_apart(items: ItemStore) -> None:
    items.put("a", "k", {"in": "a"})
    items.put("b", "k", {"in": "b"})
    items.delete("a", "k")
    assert items.get("b", "k") == Item("k", {"in": "b"}, 1)
    assert list(items.list("a")) == []


def test_list_is_in_key_order_by_prefix_and_position(items: ItemStore) -> None:
    for key in ("b/2", "a", "b/10", "b", "c", "b/1", "ü", "B", "b%"):
        items.put("c", key, {"key": key})
    listed = [(i.key, i.value["key"]) for i in items.list("c")]
    assert listed == [(k, k) for k in ("B", "a", "b", "b%", "b/1", "b/10", "b/2", "c", "ü")]
    assert [i.key for i in items.list("c", prefix="b/")] == ["b/1", "b/10", "b/2"]
    assert [i.key for i in items.list("c", prefix="b%")] == ["b%"]
    assert [i.key for i in items.list("c", prefix="b/", after="b/1")] == ["b/10", "b/2"]
    assert [i.key for i in items.list("c", after="b/2")] == ["c", "ü"]
    assert [i.key for i in items.list("c", prefix="b", limit=2)] == ["b", "b%"]
    assert list(items.list("c", limit=0)) == []


def test_list_of_more_than_a_page_beside_writes(items: ItemStore) -> None:
    for number in range(1203):
        items.put("c", f"{number:05d}", {})
    assert len(list(items.list("c"))) == 1203
    assert len(list(items.list("c", limit=1100))) == 1100
    listing = items.list("c")
    next(listing)
    items.put("c", "00000", {"changed": True})
    items.put("c", "99999", {})
    assert [i.key for i in listing][-1] == "99999"


@pytest.mark.parametrize("value", [{"f": object()}, {"bad": "\ud800"}, {"x": float("nan")}])
def test_what_is_no_json_is_refused(items: ItemStore, value: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="'c/k' cannot be stored as JSON"):
        items.put("c", "k", value)
    assert items.get("c", "k") is None


def test_two_openings_see_each_other(make_item_store: MakeItemStore) -> None:
    first, second = make_item_store(), make_item_store()
    first.put("c", "k", {"n": 1})
    assert second.put("c", "k", {"n": 2}, expected_version=1).version == 2
    with pytest.raises(ConflictError):
        first.put("c", "k", {"n": 3}, expected_version=1)


def test_four_that_count_at_once_lose_none(make_item_store: MakeItemStore) -> None:
    def count(_: int) -> None:
        store, left = make_item_store(), 10
        while left:
            item = store.get("counters", "one")
            value, version = (item.value["n"], item.version) if item else (0, 0)
            with contextlib.suppress(ConflictError):
                store.put("counters", "one", {"n": value + 1}, expected_version=version)
                left -= 1

    make_item_store().put("counters", "other", {})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    assert make_item_store().get("counters", "one") == Item("one", {"n": 40}, 40)


def test_four_processes_count_without_losing_one(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    counters = [
        subprocess.Popen([sys.executable, str(COUNTER), str(path), "50"], stdout=subprocess.DEVNULL) for _ in range(4)
    ]
    assert [counter.wait(120) for counter in counters] == [0, 0, 0, 0]
    store = SqliteItemStore(path)
    assert store.get("counters", "one") == Item("one", {"n": 200}, 200)
    store.close()


def test_kill_9_keeps_every_write_that_returned(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    store = SqliteItemStore(path)
    promised = 0
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, str(COUNTER), str(path), "100000"], stdout=subprocess.PIPE, text=True
        ) as counter:
            assert counter.stdout is not None
            lines = [counter.stdout.readline() for _ in range(10)]
            counter.kill()
            lines += counter.stdout.read().splitlines(keepends=True)
        promised = max(int(line) for line in lines if line.endswith("\n"))
        item = store.get("counters", "one")
        assert item is not None
        assert item.value["n"] == item.version >= promised
    assert promised >= 40
    store.close()


def test_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "items.sqlite"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StateError, match=r"items\.sqlite'\) is damaged: .*Restore it from a backup"):
        SqliteItemStore(path).get("c", "k")


class ItemsAsDict(RuleBasedStateMachine):
    """A collection of its own against a dictionary of (value, version)."""

    keys = st.sampled_from(["a", "a/1", "a/2", "b"])

    def __init__(self, make: MakeItemStore) -> None:
        super().__init__()
        self.make = make
        self.store = make()
        self.collection = uuid.uuid4().hex
        self.model: dict[str, tuple[int, int]] = {}

    @rule(key=keys, value=st.integers(-5, 5), expected=st.none() | st.integers(0, 3))
    def put(self, key: str, value: int, expected: int | None) -> None:
        version = self.model.get(key, (0, 0))[1]
        if expected is not None and expected != version:
            with pytest.raises(ConflictError):
                self.store.put(self.collection, key, {"n": value}, expected_version=expected)
            return
        self.model[key] = (value, version + 1)
        assert self.store.put(self.collection, key, {"n": value}, expected_version=expected).version == version + 1

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.store.delete(self.collection, key)
        self.model.pop(key, None)

    @rule()
    def reopen(self) -> None:
        self.store = self.make()

    @invariant()
    def same(self) -> None:
        expected = [Item(key, {"n": n}, version) for key, (n, version) in sorted(self.model.items())]
        assert list(self.store.list(self.collection)) == expected
        below = [item.key for item in self.store.list(self.collection, prefix="a/")]
        assert below == [key for key in sorted(self.model) if key.startswith("a/")]


def test_a_collection_is_a_dictionary_of_values_and_versions(make_item_store: MakeItemStore) -> None:
    found = settings(max_examples=12, stateful_step_count=12, deadline=None)
    run_state_machine_as_test(lambda: ItemsAsDict(make_item_store), settings=found)
