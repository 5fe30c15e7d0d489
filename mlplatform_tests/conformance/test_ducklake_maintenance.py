"""Upkeep of DuckLake: what a model or a running read or load needs stays; the rest goes when its time has come."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.core.loads.erasure import Condition, Erasure
from mlplatform.errors import NotFoundError
from mlplatform.notebook.moment import version_at
from mlplatform.stations.maintenance import Maintenance
from mlplatform_tests.conformance.old_snapshots import commits_of_the_past
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case, ducklake_case

HOUR = timedelta(hours=1)


@pytest.fixture
def loaded(tmp_path: Path) -> Case:
    case = ducklake_case(tmp_path)
    case.warehouse.create(PRICES)
    for number in range(8):
        case.load(f"in/{number}.csv", HEADER + b"T%d,,1,,2020-01-01\n" % number)
    return case


def version(case: Case) -> str:
    found = case.warehouse.unload({"u": "SELECT 1 AS one"}, case.store)["u"].engine_version
    assert found is not None
    return found


def files(tmp_path: Path) -> int:
    return len(list((tmp_path / "warehouse" / "data" / "main" / "prices").glob("*.parquet")))


def test_small_files_are_merged_and_deleted_only_after_the_grace(loaded: Case, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    done = loaded.warehouse.maintain(now=now, keep=timedelta(0))
    assert (done.files_deleted, files(tmp_path)) == (0, 9)
    assert done.files_after < done.files_before
    # Two files of the books lost most of their rows to updates, and were written anew.
    later = loaded.warehouse.maintain(now=now + 2 * HOUR, keep=timedelta(0))
    assert (later.files_deleted, files(tmp_path)) == (8 + 2, 1)
    assert loaded.count() == 8


def test_a_pinned_version_is_read_after_everything_else_expired(loaded: Case) -> None:
    pinned = version(loaded)
    loaded.load("in/new.csv", HEADER + b"N,,1,,2020-01-01\n")
    between = version(loaded)
    loaded.load("in/newer.csv", HEADER + b"O,,1,,2020-01-01\n")
    now = datetime.now(UTC)
    for hours in (0, 2, 4):
        done = loaded.warehouse.maintain(now=now + hours * HOUR, keep=timedelta(0), pinned=[pinned])
    assert done.kept_versions == (pinned,)
    assert loaded.warehouse.query("SELECT count(*) AS n FROM prices", at=pinned).to_pylist() == [{"n": 8}]
    with pytest.raises(NotFoundError, match=between):
        loaded.warehouse.query("SELECT 1 AS one", at=between)
    assert loaded.count() == 10


def test_what_a_killed_load_left_goes_and_what_a_running_one_writes_stays(loaded: Case, tmp_path: Path) -> None:
    folder = tmp_path / "warehouse" / "data" / "main" / "prices"
    (folder / "left.parquet").write_bytes(b"half")
    (folder / "running.parquet").write_bytes(b"half")
    now = datetime.now(UTC)
    old = (now - 3 * HOUR).timestamp()
    os.utime(folder / "left.parquet", (old, old))
    assert loaded.warehouse.maintain(now=now, keep=HOUR).files_deleted == 1
    assert not (folder / "left.parquet").exists()
    assert (folder / "running.parquet").exists()


def test_the_home_can_be_moved(loaded: Case, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    loaded.warehouse.close()  # type: ignore[attr-defined]
    moved.mkdir()
    (tmp_path / "warehouse").rename(moved / "warehouse")
    case = ducklake_case(moved)
    assert case.count() == 8


def test_upkeep_is_due_after_so_many_commits(loaded: Case) -> None:
    station = Maintenance(loaded.warehouse, pinned=list, max_commits=8)
    now = datetime.now(UTC)
    assert station.due(now)
    station.run(now)
    assert not station.due(now)
    for number in range(8):
        loaded.load(f"more/{number}.csv", HEADER, shard="objects/more/")
    assert station.due(now)


def test_upkeep_is_due_at_an_erasure_from_snapshots_and_once_more_when_its_files_may_go(loaded: Case) -> None:
    station = Maintenance(loaded.warehouse, pinned=list, max_commits=1000)
    now = datetime.now(UTC)
    assert not station.due(now)
    loaded.warehouse.erase(
        Erasure("e", "prices", (Condition("ticker", "equal", "T1"),), "asked for", now, from_snapshots=True)
    )
    assert station.due(now)
    station.run(now)
    assert not station.due(now + HOUR)
    assert station.due(now + 2 * HOUR)
    station.run(now + 2 * HOUR)
    assert not station.due(now + 4 * HOUR)


def test_an_erasure_that_was_begun_while_the_clock_was_ahead_ends_in_its_time_once_it_is_right(
    loaded: Case, tmp_path: Path
) -> None:
    ahead = datetime.now(UTC)
    her = (Condition("ticker", "equal", "T1"),)
    station = Maintenance(loaded.warehouse, pinned=list, max_commits=1000)
    loaded.warehouse.erase(Erasure("e", "prices", her, "asked for", ahead, from_snapshots=True))
    station.run(ahead)
    right = ahead - timedelta(days=400)
    assert station.due(right)
    station.run(right)
    before = files(tmp_path)
    assert not station.due(right + HOUR)
    assert station.due(right + 2 * HOUR)
    station.run(right + 2 * HOUR)
    assert not station.due(right + 4 * HOUR)
    assert files(tmp_path) < before


def test_snapshots_of_the_future_expire_when_they_were_kept_for_as_long_as_others(loaded: Case) -> None:
    right = datetime.now(UTC) - timedelta(days=400)
    made = [v.version for v in loaded.warehouse.versions()]
    assert loaded.warehouse.maintain(now=right, keep=HOUR).snapshots_expired == 0
    assert all(v.made_at <= datetime.now(UTC) - timedelta(days=399) for v in loaded.warehouse.versions()[: len(made)])
    loaded.warehouse.maintain(now=right + 2 * HOUR, keep=HOUR)
    assert not {v.version for v in loaded.warehouse.versions()} & set(made)
    assert loaded.count() == 8


def test_of_a_week_of_commits_a_second_the_catalogue_lists_an_hour_of_them_and_the_last_of_minutes_and_hours(
    loaded: Case, tmp_path: Path
) -> None:
    now, pinned = datetime.now(UTC), version(loaded)
    commits_of_the_past(tmp_path / "warehouse", now, days=8, every_s=10)
    loaded.load("in/new.csv", HEADER + b"N,,1,,2020-01-01\n")
    there = {v.version: v.made_at for v in loaded.warehouse.versions()}
    done = loaded.warehouse.maintain(now=now, keep=timedelta(days=7), pinned=[pinned])
    kept = {v.version for v in loaded.warehouse.versions()} & set(there)
    ages = sorted((now - there[name] for name in kept if name != pinned), reverse=True)
    assert ages[0] <= timedelta(days=7)
    assert sum(age > timedelta(days=1) for age in ages) == pytest.approx(6 * 24, abs=1)
    assert sum(HOUR < age <= timedelta(days=1) for age in ages) == pytest.approx(23 * 60, abs=1)
    assert {name for name, at in there.items() if now - at <= HOUR} <= kept
    assert done.kept_versions == (pinned,)
    assert loaded.count() == 9
    assert loaded.warehouse.query("SELECT count(*) AS n FROM prices", at=pinned).to_pylist() == [{"n": 8}]
    # A moment between two that are left is not taken for the first of them.
    oldest, beside = loaded.warehouse.versions()[:2]
    assert (oldest.version, oldest.stood_alone) == (pinned, False)
    with pytest.raises(NotFoundError, match=f"between versions '{pinned}' .* and '{beside.version}' "):
        version_at(loaded.warehouse, beside.made_at - timedelta(seconds=1))
    # What was decided stays so: nothing else goes a moment later.
    assert loaded.warehouse.maintain(now=now, keep=timedelta(days=7), pinned=[pinned]).snapshots_expired == 0


def test_where_the_clock_is_not_believed_files_are_merged_and_nothing_expires_or_goes(
    loaded: Case, tmp_path: Path
) -> None:
    station = Maintenance(loaded.warehouse, pinned=list, max_commits=8)
    wrong = datetime.now(UTC) + timedelta(days=400)
    before = files(tmp_path)
    assert station.due(wrong, believed=False)
    done = station.run(wrong, believed=False)
    assert (done.snapshots_expired, done.files_deleted) == (0, 0)
    assert done.files_after < done.files_before
    assert files(tmp_path) > before
    her = (Condition("ticker", "equal", "T1"),)
    loaded.warehouse.erase(Erasure("e", "prices", her, "asked for", wrong, from_snapshots=True))
    assert not station.due(wrong, believed=False)
    assert station.due(wrong)


def test_when_an_erasure_has_ended_the_catalogue_holds_no_trace_of_what_was_erased(
    loaded: Case, tmp_path: Path
) -> None:
    warehouse = tmp_path / "warehouse"
    loaded.load("in/her.csv", HEADER + b"Zz-unique-name,,1,,2020-01-01\n")
    assert traces(warehouse, b"Zz-unique-name")
    now = datetime.now(UTC)
    her = (Condition("ticker", "equal", "Zz-unique-name"),)
    with closing(ducklake_case(tmp_path).warehouse) as other:  # type: ignore[type-var]
        assert other.query("SELECT count(*) AS n FROM prices").to_pylist() == [{"n": 9}]
        loaded.warehouse.erase(Erasure("e", "prices", her, "asked for", now, from_snapshots=True))
        for hours in (0, 2):
            loaded.warehouse.maintain(now=now + hours * HOUR, keep=HOUR)
        assert traces(warehouse, b"Zz-unique-name") == []
        assert other.query("SELECT count(*) AS n FROM prices").to_pylist() == [{"n": 8}]
    loaded.load("in/more.csv", HEADER + b"More,,1,,2020-01-01\n")
    assert loaded.count() == 9


def test_an_erasure_has_not_ended_while_somebody_keeps_the_catalogue_from_being_written_anew(
    loaded: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = datetime.now(UTC)
    her = (Condition("ticker", "equal", "T1"),)
    loaded.warehouse.erase(Erasure("e", "prices", her, "asked for", now, from_snapshots=True))
    loaded.warehouse.maintain(now=now, keep=HOUR)
    with reading(tmp_path / "warehouse" / "catalog.sqlite"):
        loaded.warehouse.maintain(now=now + 2 * HOUR, keep=HOUR)
        assert "was not written anew" in caplog.text
    station = Maintenance(loaded.warehouse, pinned=list, max_commits=1000)
    assert station.due(now + 4 * HOUR)
    station.run(now + 4 * HOUR)
    assert not station.due(now + 6 * HOUR)


@contextmanager
def reading(catalogue: Path) -> Iterator[None]:
    """A process that is in the midst of reading it."""
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN');"
        "print(c.execute('SELECT count(*) FROM ducklake_snapshot').fetchone(), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(catalogue)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate()


def traces(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


@pytest.mark.parametrize("between", [False, True], ids=["right behind it", "after a read of now"])
def test_who_read_a_version_that_has_expired_reads_on(loaded: Case, *, between: bool) -> None:
    old = version(loaded)
    reader = loaded.open()
    with closing(reader):  # type: ignore[type-var]
        assert reader.query("SELECT count(*) AS n FROM prices", at=old).to_pylist() == [{"n": 8}]
        if between:
            reader.query("SELECT 1 AS one")
        loaded.load("in/new.csv", HEADER + b"N,,1,,2020-01-01\n")
        loaded.warehouse.maintain(now=datetime.now(UTC) + 2 * HOUR, keep=timedelta(0))
        with pytest.raises(NotFoundError, match=f"no version '{old}'"):
            reader.query("SELECT count(*) AS n FROM prices", at=old)
        assert reader.query("SELECT count(*) AS n FROM prices").to_pylist() == [{"n": 9}]
        with pytest.raises(NotFoundError, match=f"no version '{old}'"):
            reader.unload({"u": "SELECT 1 AS one"}, loaded.store, at=old)
