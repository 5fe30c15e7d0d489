"""The contract of the warehouse port: rows that were unloaded are a snapshot, which is read again as it was or not at all."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from mlplatform.core.loads.snapshot import SnapshotRef, snapshot_id
from mlplatform.errors import NotFoundError, StateError
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.features import Features
from mlplatform.stations.snapshot_parts import read_parts
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case, case, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CHANNELS = ("train", "validation", "test")
TABLE = TableSpec.model_validate(
    {
        "name": "prices",
        "unique_key": ["ticker", "day"],
        "event_time": "day",
        "columns": [{"name": c.name, "type": c.type, "nullable": c.nullable} for c in PRICES.columns],
        "sources": [{"prefix": "in/", "suffix": ".csv"}],
    }
)
FEATURES = FeatureSetSpec.model_validate(
    {
        "name": "price_features",
        "table": "prices",
        "query": "features.sql",
        "target": "price",
        "split": {"by": "hash", "key": ["ticker", "day"], "holdout": 0.25, "validation": 0.25, "salt": "s"},
        "features": [{"name": "ticker", "transform": "category"}, {"name": "volume", "missing": "keep"}],
        "minimum_rows": 10,
    }
)
SQL = "SELECT ticker, day, price, volume FROM prices"


def days(first: int, last: int) -> bytes:
    lines = (
        f'"{name}\'s, ""{name}""",,{d}.25,{d if d % 3 else ""},2026-01-{d:02}\n'
        for d in range(first, last)
        for name in "AB"
    )
    return HEADER + "".join(lines).encode()


def test_unloaded_rows_are_a_snapshot_that_reads_the_same_whatever_is_loaded_behind_it(case: Case) -> None:
    case.load("in/a.csv", days(1, 25))
    station = Features(case.warehouse, case.store, FEATURES, TABLE, system="shop", query_sql=SQL)
    snapshot = station.build(NOW)
    ref = SnapshotRef.from_json(json.loads(json.dumps(snapshot.ref.to_json())))
    assert (ref.rows, ref.ledger_position) == (48, 1)
    assert (ref.engine_version is not None) == case.warehouse.capabilities.snapshots
    parts = read_parts(case.store, ref.to_json())
    assert {channel for channel, _ in parts} == set(CHANNELS)
    for _, part in parts:
        with case.store.open(part.key) as stream:
            data = stream.read()
        assert (part.size_bytes, part.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    with case.store.open(ref.manifest) as stream:
        queries = json.loads(stream.read())["queries"]
    assert ref.id == snapshot_id("\n".join(queries.values()), [part for _, part in parts], 1)

    before = {channel: station.read(snapshot, channel) for channel in CHANNELS}
    assert sum(table.num_rows for table in before.values()) == 48
    case.load("in/b.csv", days(25, 29))
    again = Features(case.open(), case.store, FEATURES, TABLE, system="shop", query_sql=SQL)
    assert {channel: again.read(again.latest(), channel) for channel in CHANNELS} == before
    assert again.build(NOW + timedelta(days=1)).ref.id != ref.id

    key = next(part.key for channel, part in parts if channel == "train")
    with case.store.open(key) as stream:
        case.store.put(key, stream.read() + b"\0")
    with pytest.raises(StateError, match=f"'{key}'"):
        station.read(snapshot, "train")
    assert station.read(snapshot, "test") == before["test"]
    case.store.delete(key)
    with pytest.raises(NotFoundError, match=key):
        station.read(snapshot, "train")
