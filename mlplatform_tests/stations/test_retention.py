"""Unloads that no model refers to go after a week; what a registered model was trained on stays for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.stations.retention import expire_unloads

BUILDS = ("20260101T000000000000-aaaa", "20260102T000000000000-bbbb", "20260103T000000000000-cccc")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryObjectStore:
    made = DirectoryObjectStore(tmp_path)
    for build in BUILDS:
        for name in ("train/part-0.parquet", "manifest.json"):
            made.put(f"unload/prices/features/{build}/{name}", b"x")
    made.put("unload/prices/features/latest.json", b"{}")
    made.put("unload/prices/features/runs/r1.json", b"{}")
    made.put("unload/other/features/20260101T000000000000-aaaa/manifest.json", b"x")
    return made


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


def test_other_systems_and_the_records_beside_the_builds_stay(store: DirectoryObjectStore) -> None:
    expire(store, days=8)
    left = {i.key for i in store.list("unload/")}
    assert "unload/other/features/20260101T000000000000-aaaa/manifest.json" in left
    assert {"unload/prices/features/latest.json", "unload/prices/features/runs/r1.json"} <= left
