"""What registered models were trained on, which upkeep keeps: also where a model's package cannot be read.

A package's manifest says which rows it was trained on. Where it is lost or damaged, the tracker still tells the snapshot's
id, and what the build of that snapshot left beside its rows (see `features`) tells the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import NotFoundError, StateError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.tracking import ModelVersion, Tracking

SNAPSHOT_TAG = "snapshot"
"""Tag of a training's run: the id of the snapshot it read."""


@dataclass(frozen=True)
class Pinned:
    """`snapshots`: SnapshotRefs, as JSON, as far as they are known; `broken`: versions whose package cannot be read, and why."""

    snapshots: list[dict[str, Any]]
    broken: list[str]

    @property
    def manifests(self) -> list[str]:
        """Keys of the manifests of builds to keep."""
        return [str(snapshot["manifest"]) for snapshot in self.snapshots]

    @property
    def engine_versions(self) -> list[str]:
        """Warehouse snapshots to keep."""
        found = {snapshot.get("engine_version") for snapshot in self.snapshots}
        return sorted(str(version) for version in found if version is not None)


def pinned(tracking: Tracking, store: ObjectStore, *, system: str, models: Iterable[str]) -> Pinned:
    """What the versions of `models` (``<system>.<model>``) refer to. One that is broken keeps no other from being known.

    Raises:
        TransientError: the tracker is away.
    """
    snapshots: list[dict[str, Any]] = []
    broken: list[str] = []
    for model in models:
        for version in tracking.versions(model):
            try:
                snapshots.append(read_package(tracking.package(model, version.digest)).snapshot)
            except (NotFoundError, StateError) as error:
                broken.append(f"{model} version {version.version}: {error.message}")
                snapshots += _told_beside(store, system, version)
    return Pinned(snapshots, broken)


def built(store: ObjectStore, *, system: str, feature_set: str) -> list[str]:
    """Warehouse snapshots that builds of `feature_set` were made at: jobs may still pull rows there, and people look.

    A build whose manifest is damaged, or was just deleted, is read by nobody.
    """
    found: set[str | None] = set()
    for info in store.list(f"unload/{system}/{feature_set}/"):
        if info.key.endswith("/manifest.json"):
            with suppress(NotFoundError, ValueError, KeyError, TypeError, AttributeError), store.open(info.key) as file:
                found.add(json.load(file)["engine_version"])
    return sorted(version for version in found if version is not None)


def _told_beside(store: ObjectStore, system: str, version: ModelVersion) -> Iterator[dict[str, Any]]:
    """Refs of the version's snapshot; of builds that cannot be told apart from it, all."""
    wanted = version.tags.get(SNAPSHOT_TAG)
    for info in store.list(f"unload/{system}/"):
        if not info.key.endswith(".json"):
            continue
        with store.open(info.key) as file:
            content = file.read()
        try:
            data = json.loads(content)
            ref = {**data["ref"]} if "ref" in data else {"id": data["id"], "manifest": info.key}
        except (ValueError, KeyError, TypeError):
            ref = {"id": wanted, "manifest": info.key}
        if wanted is None or ref["id"] == wanted:
            yield ref
