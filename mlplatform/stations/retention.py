"""Retention of unloads: what no registered model was trained on, and nobody will look at again, goes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from mlplatform.ports.object_store import ObjectStore

KEEP = timedelta(days=7)
"""How long the rows of a candidate that was not registered are kept."""


def expire_unloads(
    store: ObjectStore, *, system: str, pinned: Collection[str], now: datetime, keep: timedelta = KEEP
) -> int:
    """Delete builds of `system`'s feature sets older than `keep`; how many objects went.

    Args:
        pinned: manifest keys that registered models refer to; their builds stay for ever, so that lineage leads to rows.

    The newest build of each feature set stays too. A build is recognised by its folder, whose name begins with the time.
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
    gone = 0
    for folder, keys in builds.items():
        if folder in kept or folder in newest.values() or now - modified[folder] < keep:
            continue
        # The manifest goes first: without it the rest is nothing that anybody could take for a whole build.
        for key in sorted(keys, key=lambda k: not k.endswith("/manifest.json")):
            store.delete(key)
            gone += 1
    return gone
