"""A data subject's rows leave the parts of feature sets: what is counted is what goes, whatever type the query made."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.core.loads.subject import Subject
from mlplatform.stations.feature_erasure import FeatureErasure

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PART, MANIFEST = "unload/shop/bought/b1/part-0.parquet", "unload/shop/bought/b1/manifest.json"


def built(folder: Path, values: pa.Array) -> DirectoryObjectStore:
    store = DirectoryObjectStore(folder)
    sink = io.BytesIO()
    pq.write_table(pa.table({"customer": values, "n": range(len(values))}), sink)
    data = sink.getvalue()
    store.put(PART, data)
    part = {"key": PART, "rows": len(values), "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    store.put(MANIFEST, json.dumps({"channels": {"train": [part]}}).encode())
    return store


@pytest.mark.parametrize("declared", ["bigint", "double", "varchar"])
@pytest.mark.parametrize(
    "values",
    [
        pa.array([4711.0, 4712.0, None, 4711.0]),
        pa.array([4711, 4712, None, 4711]),
        pa.array(["4711", "4712", None, "4711"]),
    ],
    ids=["double", "bigint", "varchar"],
)
def test_what_is_counted_is_what_goes(tmp_path: Path, values: pa.Array, declared: str) -> None:
    store = built(tmp_path, values)
    subject = Subject("customer", "4711", types=frozenset({declared}))
    erasure = FeatureErasure(store, "bought", system="shop")
    assert erasure.rows(subject) == (2, 0)
    assert erasure.erase(subject, name="e", now=NOW) == 2
    assert erasure.rows(subject) == (0, 0)
    with store.open(PART) as stream:
        data = stream.read()
    assert pq.read_table(io.BytesIO(data)).column("n").to_pylist() == [1, 2]
    with store.open(MANIFEST) as stream:
        (part,) = json.loads(stream.read())["channels"]["train"]
    assert (part["rows"], part["sha256"]) == (2, hashlib.sha256(data).hexdigest())
