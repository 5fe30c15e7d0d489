"""The parts of a snapshot: which objects hold the exact rows a model was trained, validated and held out on."""

from __future__ import annotations

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
