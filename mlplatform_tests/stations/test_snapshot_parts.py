"""Parts of a snapshot are read as they were unloaded: one that was changed is refused, one that an erasure wrote anew is not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.core.loads.snapshot import Part, SnapshotRef
from mlplatform.errors import StateError
from mlplatform.stations.snapshot_parts import read_part, read_parts
from mlplatform_tests.stations.crashing_store import EdgedStore

KEY, MANIFEST = "u/train/part-0", "u/manifest.json"
REF = SnapshotRef("0" * 64, MANIFEST, 1, None, 1).to_json()


def put(store: DirectoryObjectStore, data: bytes) -> Part:
    """The part and its manifest, as an unload or an erasure writes them."""
    part = Part(KEY, 1, len(data), hashlib.sha256(data).hexdigest())
    store.put(KEY, data)
    store.put(MANIFEST, json.dumps({"channels": {"train": [asdict(part)]}}).encode())
    return part


@pytest.fixture
def store(tmp_path: Path) -> DirectoryObjectStore:
    return DirectoryObjectStore(tmp_path)


def test_a_part_is_read_as_it_was_unloaded(store: DirectoryObjectStore) -> None:
    put(store, b"rows")
    ((channel, part),) = read_parts(store, REF)
    assert (channel, read_part(store, REF, part)) == ("train", b"rows")


def test_a_part_that_was_changed_is_refused_by_name_with_both_hashes(store: DirectoryObjectStore) -> None:
    part = put(store, b"rows")
    store.put(KEY, b"others")
    found = hashlib.sha256(b"others").hexdigest()[:12]
    with pytest.raises(StateError, match=rf"'{KEY}'.*was changed: expected SHA-256 {part.sha256[:12]}.*{found}"):
        read_part(store, REF, part)


def test_a_part_that_an_erasure_wrote_anew_behind_the_manifest_that_was_read_is_whole(
    store: DirectoryObjectStore,
) -> None:
    part, calls = put(store, b"rows"), 0

    def erased(name: str) -> None:
        nonlocal calls
        if name == f"before open {KEY}":
            calls += 1
            if calls == 1:
                put(store, b"fewer rows")

    assert read_part(EdgedStore(store, erased), REF, part) == b"fewer rows"
