"""Rows go by age. Unloads and jobs that no model refers to go after a week; what a registered model comes from stays for ever."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.adapters.compute.subprocess import SubprocessCompute
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.core.loads.erasure import Erased
from mlplatform.core.loads.snapshot import SnapshotRef
from mlplatform.ports.compute import JobSpec
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.capture import capture_table
from mlplatform.stations.feature_snapshot import FeatureSnapshot
from mlplatform.stations.retention import expire_jobs, expire_scoring, expire_unloads
from mlplatform_tests.conformance.warehouses import shared_ducklake
from mlplatform_tests.stations.landed_house import House, house, spec

__all__ = ["house", "shared_ducklake"]

BUILDS = ("20260101T000000000000-aaaa", "20260102T000000000000-bbbb", "20260103T000000000000-cccc")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryObjectStore:
    made = DirectoryObjectStore(tmp_path)
    for build in BUILDS:
        for name in ("train/part-0.parquet", "manifest.json"):
            made.put(f"unload/prices/features/{build}/{name}", b"x")
    point(made, BUILDS[-1])
    made.put("unload/prices/features/runs/r1.json", b"{}")
    made.put("unload/other/features/20260101T000000000000-aaaa/manifest.json", b"x")
    return made


def point(store: DirectoryObjectStore, build: str) -> None:
    """Let `build` be the newest."""
    ref = SnapshotRef("a", f"unload/prices/features/{build}/manifest.json", 1, None, 1)
    newest = FeatureSnapshot("prices", "features", ref, {}, {}, 0, {}, None, {}, "r1", "")
    store.put("unload/prices/features/latest.json", json.dumps(newest.to_json()).encode())


def builds(store: DirectoryObjectStore) -> list[str]:
    return sorted({i.key.split("/")[3] for i in store.list("unload/prices/features/2")})


def expire(store: DirectoryObjectStore, *, days: float, pinned: tuple[str, ...] = ()) -> int:
    return expire_unloads(store, system="prices", pinned=pinned, now=datetime.now(UTC) + timedelta(days=days))


def test_a_fresh_build_stays(store: DirectoryObjectStore) -> None:
    assert expire(store, days=6) == 0
    assert builds(store) == list(BUILDS)


def test_old_builds_go_but_the_newest_and_what_a_model_was_trained_on(store: DirectoryObjectStore) -> None:
    pinned = (f"unload/prices/features/{BUILDS[0]}/manifest.json",)
    assert expire(store, days=8, pinned=pinned) == 2
    assert builds(store) == [BUILDS[0], BUILDS[2]]


def test_the_newest_build_is_the_one_that_is_named_so_and_not_the_last_by_a_clock_that_was_ahead(
    store: DirectoryObjectStore,
) -> None:
    point(store, BUILDS[1])
    assert expire(store, days=8) == 4
    assert builds(store) == [BUILDS[1]]


@pytest.fixture
def compute(store: DirectoryObjectStore, tmp_path: Path) -> SubprocessCompute:
    """Two jobs of system `prices`, and one of another, ended by now."""
    container = tmp_path / "containers" / "quick"
    container.mkdir(parents=True)
    (container / "Dockerfile").write_text('ENTRYPOINT ["true"]\n')
    made = SubprocessCompute(tmp_path / "jobs", store, containers=[container.parent])
    for name, system in (("prices-m-1-a1", "prices"), ("prices-m-2-a1", "prices"), ("prices-other-a1", "prices_other")):
        prefix = f"jobs/{system}/m/{name}/"
        store.put(f"{prefix}spec/plan.json", b"{}")
        made.run(JobSpec(name, "quick", {}, (), prefix, tags={"system": system}))
    return made


def jobs(compute: SubprocessCompute, store: DirectoryObjectStore) -> tuple[list[str], list[str]]:
    return sorted(compute.list()), sorted({i.key.split("/")[3] for i in store.list("jobs/")})


def test_a_fresh_job_stays(compute: SubprocessCompute, store: DirectoryObjectStore) -> None:
    now = datetime.now(UTC) + timedelta(days=6)
    assert expire_jobs(compute, store, system="prices", pinned=(), now=now) == 0
    assert [len(found) for found in jobs(compute, store)] == [3, 3]


def test_old_jobs_and_their_artifacts_go_but_those_that_a_model_comes_from(
    compute: SubprocessCompute, store: DirectoryObjectStore
) -> None:
    now = datetime.now(UTC) + timedelta(days=8)
    # A job, its plan and its two artifacts.
    assert expire_jobs(compute, store, system="prices", pinned=["prices-m-1-a1"], now=now) == 4
    left = ["prices-m-1-a1", "prices-other-a1"]
    assert jobs(compute, store) == (left, left)


def test_other_systems_and_the_records_beside_the_builds_stay(store: DirectoryObjectStore) -> None:
    expire(store, days=8)
    left = {i.key for i in store.list("unload/")}
    assert "unload/other/features/20260101T000000000000-aaaa/manifest.json" in left
    assert {"unload/prices/features/latest.json", "unload/prices/features/runs/r1.json"} <= left


NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def dated(**more: object) -> TableSpec:
    columns = [{"name": "ticker", "nullable": False}, {"name": "day", "type": "date"}]
    return spec(columns=columns, event_time="day", **more)


def expired(house: House, table: TableSpec, now: datetime = NOW) -> Erased:
    return house.ingest(table).expire(now=now)


def test_what_a_killed_scoring_left_goes_and_scores_stay(store: DirectoryObjectStore) -> None:
    kept = ["scores/s/m/1/part-00000.parquet", "scoring/other/m/builds/1/part-0.parquet", "scoring/s/m/1/done.json"]
    left = ["scoring/s/m/2/input/part-00000.jsonl", "scoring/s/m/builds/1/part-0.parquet"]
    for key in (*kept, *left):
        store.put(key, b"x")
    now = datetime.now(UTC)
    assert expire_scoring(store, system="s", now=now + timedelta(days=6)) == 0
    assert expire_scoring(store, system="s", now=now + timedelta(days=8)) == 2
    assert sorted(info.key for prefix in ("scores/", "scoring/") for info in store.list(prefix)) == kept


def test_rows_older_than_the_retention_by_event_time_go(house: House) -> None:
    table = dated(retention_days=30)
    house.store.put("base/a.csv", b"ticker,day\nOLD,2026-02-28\nNEW,2026-03-02\nNONE,\n")
    house.ingest(table).run()
    assert expired(house, table) == Erased(rows=1, records=0)
    assert house.tickers() == ["NEW", "NONE"]


def test_without_an_event_time_rows_go_by_the_time_of_their_load(house: House) -> None:
    table = spec(retention_days=30)
    house.land(0, 3)
    house.ingest(table).run()
    assert expired(house, table, datetime.now(UTC) + timedelta(days=29)) == Erased(0, 0)
    assert expired(house, table, datetime.now(UTC) + timedelta(days=31)) == Erased(3, 0)


def test_quarantined_records_go_after_the_same_time(house: House) -> None:
    table = spec(retention_days=30)
    house.store.put("base/a.csv", b"ticker,price\nA,no price\n")
    house.ingest(table).run()
    assert expired(house, table, datetime.now(UTC) + timedelta(days=31)) == Erased(0, 1)
    assert house.quarantine(table).count() == 0


def test_without_a_retention_nothing_goes(house: House) -> None:
    house.land(0, 3)
    house.ingest(spec()).run()
    assert expired(house, spec(), datetime.now(UTC) + timedelta(days=10_000)) == Erased(0, 0)


def test_rows_that_expired_do_not_come_back_from_their_objects(house: House) -> None:
    table = spec(retention_days=30)
    house.land(0, 3)
    house.ingest(table).run()
    expired(house, table, datetime.now(UTC) + timedelta(days=31))
    assert house.ingest(table).run() == []
    assert house.tickers() == []


def test_captured_rows_go_with_the_endpoints_retention(house: House) -> None:
    endpoint = EndpointSpec.model_validate({"name": "main", "model": "price", "capture": {"retention_days": 30}})
    table = capture_table(endpoint, system="prices", regression=True)
    line = (
        '{"inference_id":"%s","row_number":1,"captured_at":"%s","variant":"a","generation":1,"version":1,'
        '"digest":"d","request_id":"r%s","prediction":1.5}\n'
    )
    lines = line % ("i1", "2026-02-28T11:59:00Z", 1) + line % ("i2", "2026-03-30T12:00:00Z", 2)
    house.store.put("capture/prices/main/2026/03/30/12/1-1-1.jsonl", lines.encode())
    (receipt,) = house.ingest(table).run()
    assert receipt.loaded == 2
    assert expired(house, table) == Erased(rows=1, records=0)
    left = house.warehouse.query("SELECT inference_id FROM main_capture").to_pylist()
    assert left == [{"inference_id": "i2"}]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"retention_days": 1, "event_time": "ticker"},
            "event time 'ticker' is a varchar; expected a date or timestamp",
        ),
        ({"retention_days": 1, "sources": [], "existing": "theirs"}, "who loads it says how long rows stay"),
    ],
)
def test_a_retention_that_cannot_hold_is_refused(more: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spec(**more)
