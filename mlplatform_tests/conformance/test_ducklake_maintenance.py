"""Upkeep of DuckLake: what a model or a running read or load needs stays; the rest goes when its time has come."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.core.loads.erasure import Condition, Erasure
from mlplatform.errors import NotFoundError
from mlplatform.stations.maintenance import Maintenance
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
