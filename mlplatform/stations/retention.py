"""Retention: rows of tables by age, and unloads and jobs that no registered model comes from, go."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from mlplatform.core.loads.erasure import Condition, Erased, Erasure
from mlplatform.core.sql import identifier
from mlplatform.core.tables.schema import LOADED_AT
from mlplatform.ports.compute import Compute
from mlplatform.ports.object_store import ObjectInfo, ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.table import TableSpec
from mlplatform.stations.feature_snapshot import read_snapshot

KEEP = timedelta(days=7)
"""How long the rows and the job of a candidate that was not registered are kept."""


def expire_unloads(
    store: ObjectStore, *, system: str, pinned: Collection[str], now: datetime, keep: timedelta = KEEP
) -> int:
    """Delete builds of `system`'s feature sets older than `keep`; how many objects went.

    Args:
        pinned: manifest keys that registered models refer to; their builds stay for ever, so that lineage leads to rows.

    The newest build of each feature set stays too: the one that `latest.json` names, which need not be the last by name
    where the clock was set back. Where none is named, the last by name does.
    """
    root = f"unload/{system}/"
    builds: dict[str, list[str]] = {}
    modified: dict[str, datetime] = {}
    for info in store.list(root):
        feature_set, _, rest = info.key.removeprefix(root).partition("/")
        build, slash, _ = rest.partition("/")
        if not slash or build == "runs":
            continue
        folder = f"{root}{feature_set}/{build}/"
        builds.setdefault(folder, []).append(info.key)
        modified[folder] = max(info.modified, modified.get(folder, info.modified))
    kept = {f"{manifest.rpartition('/')[0]}/" for manifest in pinned}
    newest = {folder.rsplit("/", 2)[0]: folder for folder in sorted(builds)}
    for feature_set in newest:
        latest = read_snapshot(store, f"{feature_set}/latest.json")
        if latest is not None:
            newest[feature_set] = f"{latest.ref.manifest.rpartition('/')[0]}/"
    kept.update(newest.values())
    gone = 0
    for folder, keys in builds.items():
        if folder in kept or now - modified[folder] < keep:
            continue
        # The manifest goes first: without it the rest is nothing that anybody could take for a whole build.
        for key in sorted(keys, key=lambda k: not k.endswith("/manifest.json")):
            store.delete(key)
            gone += 1
    return gone


def expire_jobs(
    compute: Compute, store: ObjectStore, *, system: str, pinned: Collection[str], now: datetime, keep: timedelta = KEEP
) -> int:
    """Forget `system`'s jobs that ended more than `keep` ago, and delete their artifacts; how many jobs and objects went.

    Args:
        pinned: jobs that registered models come from; they stay for ever, so that lineage leads to logs and artifacts.
    """
    gone = 0
    for name in compute.list():
        job = compute.describe(name)
        ended = job.get("TrainingEndTime")
        if {"Key": "system", "Value": system} not in job["Tags"] or name in pinned or ended is None:
            continue
        if now - datetime.fromisoformat(ended) >= keep:
            compute.remove(name)
            gone += 1
    # A folder for each job key, as `stations.training` names it: the plan, and what each attempt left.
    folders: dict[str, list[ObjectInfo]] = {}
    for info in store.list(f"jobs/{system}/"):
        folders.setdefault("/".join(info.key.split("/")[:4]), []).append(info)
    for infos in folders.values():
        kept = any(part in pinned for info in infos for part in info.key.split("/")[4:5])
        if kept or any(now - info.modified < keep for info in infos):
            continue
        for info in infos:
            store.delete(info.key)
            gone += 1
    return gone


def expire_scoring(store: ObjectStore, *, system: str, now: datetime, keep: timedelta = KEEP) -> int:
    """Delete what scorings of `system`'s models left under way more than `keep` ago, killed ones too; how many objects went.

    Scores stay, and what says which rows were scored: they are the user's.
    """
    gone = 0
    for info in list(store.list(f"scoring/{system}/")):
        if not info.key.endswith("/done.json") and now - info.modified >= keep:
            store.delete(info.key)
            gone += 1
    return gone


def expire_rows(warehouse: Warehouse, table: TableSpec, now: datetime) -> Erased:
    """Delete what is older than the table's `retention_days`: rows by event time (else by load), and quarantined records."""
    if table.retention_days is None:
        return Erased(0, 0)
    name, column = table.schema_().name, table.event_time or LOADED_AT
    before = (now - timedelta(days=table.retention_days)).astimezone(UTC).replace(tzinfo=None)
    old = f"SELECT count(*) AS n FROM {identifier(name)} WHERE {identifier(column)} < ?"  # noqa: S608
    rows = int(warehouse.query(old, [before]).column("n")[0].as_py())
    waiting = warehouse.query(
        "SELECT quarantine_id FROM _quarantine WHERE table_name = ? AND quarantined_at < ?", [name, before]
    )
    records = tuple(str(name) for name in waiting.column("quarantine_id").to_pylist())
    if not rows and not records:
        return Erased(0, 0)
    return warehouse.erase(
        Erasure(
            id=f"retention-{now.astimezone(UTC):%Y%m%dT%H%M%S%f}",
            table=name,
            conditions=(Condition(column, "before", before.replace(tzinfo=UTC)),),
            reason=f"older than {table.retention_days:g} days",
            erased_at=now,
            records=records,
        )
    )
