"""The parts of a snapshot: which objects hold the exact rows a model was trained, validated and held out on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mlplatform.core.loads.snapshot import Part, SnapshotRef
from mlplatform.errors import NotFoundError, StateError
from mlplatform.ports.object_store import ObjectStore


def read_parts(store: ObjectStore, snapshot: Mapping[str, Any]) -> list[tuple[str, Part]]:
    """(channel, part) of each object that a package's `snapshot` names, in the manifest's order.

    Raises:
        NotFoundError, StateError: as `read_manifest` does.
    """
    channels = read_manifest(store, snapshot)["channels"]
    try:
        return [(str(channel), Part(**part)) for channel, parts in channels.items() for part in parts]
    except (KeyError, TypeError, AttributeError) as error:
        raise StateError(f"snapshot manifest '{snapshot['manifest']}' is damaged: {error!r}.") from error


def read_part(store: ObjectStore, snapshot: Mapping[str, Any], part: Part) -> bytes:
    """The part's bytes, which are those that were unloaded.

    Raises:
        NotFoundError: the object is gone.
        StateError: its bytes are others.
    """
    data, wanted = _bytes(store, part.key), part.sha256
    if hashlib.sha256(data).hexdigest() != wanted:
        # An erasure writes a part anew, and the manifest behind it.
        now = {found.key: found.sha256 for _, found in read_parts(store, snapshot)}
        data, wanted = _bytes(store, part.key), now.get(part.key, wanted)
    if (found := hashlib.sha256(data).hexdigest()) != wanted:
        raise StateError(
            f"Part '{part.key}' of snapshot '{SnapshotRef.from_json(dict(snapshot)).id[:12]}…' was changed: expected SHA-256 "
            f"{wanted[:12]}…, found {found[:12]}….",
            next_step="Restore the object from the store's versions or a backup, or build the feature set again. Where an "
            "erasure broke off, run it again.",
        )
    return data


def _bytes(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as stream:
        return stream.read()


def read_manifest(store: ObjectStore, snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest that a package's `snapshot` names: ``channels`` with their parts, and ``erased``, if rows were since.

    Raises:
        NotFoundError: the snapshot's manifest is gone.
        StateError: it is damaged.
    """
    key = SnapshotRef.from_json(dict(snapshot)).manifest
    if store.head(key) is None:
        raise NotFoundError(f"The snapshot manifest '{key}' is gone.", next_step="Restore the object from a backup.")
    with store.open(key) as stream:
        text = stream.read()
    try:
        manifest = dict(json.loads(text))
        return {**manifest, "channels": dict(manifest["channels"])}
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"snapshot manifest '{key}' is damaged: {error!r}.") from error
