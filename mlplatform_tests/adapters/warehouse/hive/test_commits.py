"""The log of commits: whoever writes, sleeps, dies or cleans up, every reader sees the same commits in the same order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse import hive_commits
from mlplatform.adapters.warehouse.hive_commits import HiveCommits, entry_id
from mlplatform.adapters.warehouse.hive_log import Entry, Part, State, Table, folder_of, table_of
from mlplatform.core.loads.plan import Guard
from mlplatform.errors import StateError, TransientError, UnavailableError
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.object_stores import ministack_server, object_store
from mlplatform_tests.stations.crashing_store import EdgedStore

__all__ = ["ministack_server", "object_store"]

COLUMNS = (("a", "bigint"), ("_batch_id", "varchar"))
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def raised(shard: str) -> Callable[[State], Entry]:
    """A commit that raises a guard's epoch by one: lost or doubled ones show in it."""

    def make(state: State) -> Entry:
        before = state.guards.get(("t", shard), Guard("t", shard, "", 0))
        return Entry(entry_id(), NOW.isoformat(), guards=(Guard("t", shard, "", before.epoch + 1),))

    return make


def epochs(state: State) -> dict[str, int]:
    return {shard: guard.epoch for (_, shard), guard in state.guards.items()}


def log(root: Path) -> HiveCommits:
    return HiveCommits(DirectoryObjectStore(root), "s/_commits/")


def test_a_state_is_what_its_entries_add_up_to() -> None:
    old, new = (Part(name, "t", folder_of("t", COLUMNS), 3, 100) for name in ("b1-x", "b2-y"))
    state, readable = State(), []
    for entry in (
        Entry("1", "t1", tables={"t": table_of("t", COLUMNS)}, guards=(Guard("t", "", "0", 0),)),
        Entry("2", "t2", added=(old,), ledger=({"position": 1, "key": "a"},)),
        Entry("3", "t3", added=(new,), removed=("b1-x",), ledger=({"position": 2, "key": "b"},)),
        Entry("4", "t4", in_parts=2, erasures=({"erasure_id": "e"},)),
        Entry("5", "t5", doomed=("b1-x",)),
        Entry("6", "t6", dropped=("b1-x",), guards=(Guard("t", "", "2", 1),)),
    ):
        assert Entry.from_json(entry.to_json()) == entry
        state = state.with_entry(entry)
        assert State.from_json(state.to_json()) == state
        readable.append(state.readable("b1-x"))
    assert readable == [False, True, True, True, False, False]
    assert (state.position, state.entry_id, state.positions()) == (6, "6", {"t": 2})
    assert (state.parts_of("t"), dict(state.dead)) == ((new,), {})
    assert state.ledger == ((3, {"position": 2, "key": "b"}),)
    assert state.guards == {("t", ""): Guard("t", "", "2", 1)}
    assert state.erasures == ({"erasure_id": "e"},)


def test_a_folder_is_named_by_its_columns_in_whatever_order() -> None:
    assert folder_of("a b/c", COLUMNS) == folder_of("a b/c", COLUMNS[::-1])
    assert folder_of("a b/c", COLUMNS) != folder_of("a b_c", COLUMNS)
    assert folder_of("a b/c", COLUMNS).startswith("a_b_c-")


def test_writers_at_once_lose_and_double_nothing(object_store: ObjectStore) -> None:
    def write(shard: str) -> None:
        mine = HiveCommits(object_store, "s/_commits/")
        for _ in range(20):
            mine.commit(raised(shard), "x")
            mine.commit(raised("all"), "x")

    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = HiveCommits(object_store, "s/_commits/").state()
    assert epochs(found) == {"a": 20, "b": 20, "c": 20, "all": 60}
    assert found.position == 120


def test_a_commit_that_makes_nothing_writes_nothing(tmp_path: Path) -> None:
    assert log(tmp_path).commit(lambda _: None, "x").position == 0
    assert list(DirectoryObjectStore(tmp_path).list("")) == []


def test_resume_after_commit_before_its_answer(tmp_path: Path) -> None:
    """The put reached the store; whoever looks finds it, and the writer's next look too."""
    lost = [True]

    def edge(name: str) -> None:
        if name.startswith("after put") and lost:
            lost.clear()
            raise UnavailableError("no answer")

    mine = HiveCommits(EdgedStore(DirectoryObjectStore(tmp_path), edge), "s/_commits/")
    with pytest.raises(UnavailableError):
        mine.commit(raised("a"), "x")
    assert epochs(log(tmp_path).state()) == {"a": 1}
    assert epochs(mine.state()) == {"a": 1}


def test_a_put_that_was_repeated_below_is_known_as_its_own(tmp_path: Path) -> None:
    """A client of the store that sends a put again after a lost answer is told that the object exists: by itself."""
    store = DirectoryObjectStore(tmp_path)
    entry = raised("a")(State())
    store.put(f"s/_commits/{1:020d}.json", entry.to_json())
    assert log(tmp_path)._put(1, entry)
    assert not log(tmp_path)._put(1, raised("a")(State()))


def test_one_that_slept_while_its_position_was_cleaned_up_commits_behind_the_others(tmp_path: Path) -> None:
    """Red without the look for a checkpoint behind a put: the position is free again, and nobody reads what is put there."""
    sleeper, others = log(tmp_path), log(tmp_path)
    others.commit(raised("a"), "x")
    sleeper.state()
    woken = []

    def make(state: State) -> Entry:
        if not woken:
            woken.append(True)
            for _ in range(5):
                others.commit(raised("a"), "x")
            others.checkpoint()
            assert others.clean(now=NOW, keep=timedelta(0)) == 6
        return raised("a")(state)

    assert epochs(sleeper.commit(make, "x")) == {"a": 7}
    assert epochs(log(tmp_path).state()) == {"a": 7}


def test_a_reader_whose_next_commit_was_cleaned_up_starts_at_the_checkpoint(tmp_path: Path) -> None:
    reader, writer = log(tmp_path), log(tmp_path)
    writer.commit(raised("a"), "x")
    reader.state()
    for _ in range(3):
        writer.commit(raised("a"), "x")
    writer.checkpoint()
    writer.clean(now=NOW, keep=timedelta(0))
    assert reader.state() == log(tmp_path).state() == writer.state()
    writer.commit(raised("a"), "x")
    assert epochs(reader.state()) == {"a": 5}


def test_what_was_put_at_a_place_that_was_cleaned_up_is_read_by_nobody(tmp_path: Path) -> None:
    """Red where commits before a checkpoint are read one by one: clean-up may take the old ones and leave the young."""
    reader, writer, store = log(tmp_path), log(tmp_path), DirectoryObjectStore(tmp_path)
    writer.commit(raised("a"), "x")
    reader.state()
    for _ in range(3):
        writer.commit(raised("a"), "x")
    writer.checkpoint()
    store.delete(f"s/_commits/{2:020d}.json")
    store.put(f"s/_commits/{2:020d}.json", raised("sleeper")(State()).to_json())
    assert epochs(reader.state()) == epochs(log(tmp_path).state()) == {"a": 4}


def test_reading_starts_at_a_checkpoint_that_comes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hive_commits, "CHECKPOINT_EVERY", 4)
    writer = log(tmp_path)
    for _ in range(10):
        writer.commit(raised("a"), "x")
    opened: list[str] = []
    store = EdgedStore(DirectoryObjectStore(tmp_path), lambda name: opened.append(name) if "open" in name else None)
    assert epochs(HiveCommits(store, "s/_commits/").state(afresh=True)) == {"a": 10}
    assert len(opened) == 3


def test_a_commit_that_is_gone_is_said_and_not_skipped(tmp_path: Path) -> None:
    writer = log(tmp_path)
    for _ in range(3):
        writer.commit(raised("a"), "x")
    DirectoryObjectStore(tmp_path).delete(f"s/_commits/{2:020d}.json")
    with pytest.raises(StateError, match="from commit 1 to 3"):
        log(tmp_path).state()


def test_a_race_that_is_lost_every_time_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hive_commits, "ATTEMPTS", 3)
    other = log(tmp_path)

    def make(state: State) -> Entry:
        other.commit(raised("other"), "x")
        return raised("mine")(state)

    with pytest.raises(TransientError, match="lost the race with other commits 3 times"):
        log(tmp_path).commit(make, "x")
    assert epochs(log(tmp_path).state()) == {"other": 3}


ACTIONS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["commit", "look", "checkpoint", "clean", "afresh"])), max_size=40
)


@settings(max_examples=60)
@given(ACTIONS)
def test_every_process_sees_the_same_whatever_is_cleaned_up(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[int, str]]
) -> None:
    root = tmp_path_factory.mktemp("log")
    processes = [log(root) for _ in range(3)]
    expected: dict[str, int] = {}
    for number, action in actions:
        process = processes[number]
        if action == "commit":
            process.commit(raised(str(number)), "x")
            expected[str(number)] = expected.get(str(number), 0) + 1
        elif action == "checkpoint":
            process.checkpoint()
        elif action == "clean":
            process.clean(now=NOW, keep=timedelta(0))
        assert epochs(process.state(afresh=action == "afresh")) == expected
    assert {process.state().to_json() for process in processes} == {log(root).state().to_json()}


def test_a_table_keeps_what_its_files_had() -> None:
    table = table_of("t", COLUMNS)
    assert State.from_json(State(tables={"t": table}).to_json()).tables["t"] == Table(
        COLUMNS, {folder_of("t", COLUMNS): COLUMNS}
    )
