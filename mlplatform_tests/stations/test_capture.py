"""What was spooled becomes landing objects, once, whatever happens to the drainer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.core.capture.record import CapturedPrediction, CapturedRequest
from mlplatform.core.capture.sagemaker import data_capture_key, data_capture_line
from mlplatform.core.capture.spool import COUNT_BYTES, GIVEN_AT, NUMBER, WRITTEN_AT
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.process_name import process_name
from mlplatform.stations.capture import Capture, capture_table
from mlplatform.stations.ingest import Ingest

DEAD = "999999999-1"
SPEC = EndpointSpec(name="prices", model="stock_model", keys=["trading_day"])


def request(sequence: int, *, rows: int = 1, at: str = "2026-03-02T09:10:11.123456Z") -> dict[str, Any]:
    """A spool line as a worker writes it."""
    return {
        "sequence": sequence,
        "captured_at": at,
        "inference_id": f"prices.g2.main.{sequence}",
        "request_id": f"r{sequence}",
        "endpoint": "stock_prices/prices",
        "variant": "main",
        "generation": 2,
        "version": 7,
        "digest": "d" * 64,
        "content_type": "application/json",
        "rows": [{"sector": "Energy", "change": float(n), "trading_day": "2026-03-01"} for n in range(rows)],
        "predictions": [{"value": 10.0 + n, "probabilities": None, "flags": ["unseen:sector"]} for n in range(rows)],
    }


def segment(
    folder: Path, worker: str, number: int, after: int, *sequences: int, end: str = "jsonl", torn: bytes = b""
) -> Path:
    """Write a segment."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [{"after": after}, *(request(s) for s in sequences)]
    path = folder / f"{worker}-{number:08d}.{end}"
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + torn)
    return path


def count(folder: Path, worker: str, given: int, written: int) -> Path:
    """Write a count file."""
    data = bytearray(COUNT_BYTES)
    NUMBER.pack_into(data, GIVEN_AT, given)
    NUMBER.pack_into(data, WRITTEN_AT, written)
    path = folder / f"{worker}.count"
    path.write_bytes(data)
    return path


@pytest.fixture
def store(tmp_path: Path) -> DirectoryObjectStore:
    return DirectoryObjectStore(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "spool" / "stock_prices" / "prices"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def station(store: DirectoryObjectStore, tmp_path: Path) -> Capture:
    return Capture(store, tmp_path / "spool", SPEC, system="stock_prices")


def keys(store: DirectoryObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def lines(store: DirectoryObjectStore, key: str) -> list[dict[str, Any]]:
    with store.open(key) as file:
        return [json.loads(line) for line in file]


def test_a_row_is_a_line_with_features_and_keys_apart(
    store: DirectoryObjectStore, folder: Path, station: Capture
) -> None:
    path = segment(folder, process_name(), 1, 0)
    path.write_bytes(path.read_bytes() + json.dumps(request(1, rows=2)).encode() + b"\n")
    drained = station.drain()
    assert (drained.objects, drained.requests, drained.rows, drained.gap) == (1, 1, 2, 0)
    key = f"capture/stock_prices/prices/2026/03/02/09/{process_name()}-00000001.jsonl"
    assert keys(store) == [key]
    assert lines(store, key)[1] == {
        "inference_id": "prices.g2.main.1",
        "row_number": 2,
        "captured_at": "2026-03-02T09:10:11.123456Z",
        "variant": "main",
        "generation": 2,
        "version": 7,
        "digest": "d" * 64,
        "request_id": "r1",
        "prediction": 11.0,
        "probabilities": None,
        "flags": ["unseen:sector"],
        "features": {"sector": "Energy", "change": 1.0},
        "keys": {"trading_day": "2026-03-01"},
    }


def test_an_open_segment_of_a_living_worker_is_left_alone(
    store: DirectoryObjectStore, folder: Path, station: Capture
) -> None:
    path = segment(folder, process_name(), 1, 0, 1, end="open")
    assert station.drain().objects == 0
    assert path.exists()


def test_what_a_dead_worker_left_is_moved_and_its_losses_counted(
    store: DirectoryObjectStore, folder: Path, station: Capture
) -> None:
    segment(folder, DEAD, 1, 0, 1, 2)
    segment(folder, DEAD, 2, 2, 3, 4, end="open", torn=b'{"sequence":5,"captured_')
    count(folder, DEAD, given=7, written=3)
    drained = station.drain()
    assert (drained.objects, drained.requests, drained.gap) == (2, 4, 3)
    assert station.gap() == 3
    assert list(folder.iterdir()) == []
    assert station.drain().gap == 0


def test_a_count_of_a_living_worker_is_left_alone(folder: Path, station: Capture) -> None:
    path = count(folder, process_name(), given=9, written=1)
    assert station.drain().gap == 0
    assert path.exists()


def test_holes_between_and_within_segments_are_counted(
    store: DirectoryObjectStore, folder: Path, station: Capture
) -> None:
    segment(folder, DEAD, 1, 0, 1, 3)
    segment(folder, DEAD, 2, 3, 6)
    assert station.drain().gap == 3
    assert station.gap() == 3
    assert keys(store, "_capture/") == [f"_capture/stock_prices/prices/gaps/{DEAD}-0000000{n}.json" for n in (1, 2)]


def test_resume_after_put_before_unlink(store: DirectoryObjectStore, folder: Path, station: Capture) -> None:
    path = segment(folder, DEAD, 1, 0, 1, 3)
    content = path.read_bytes()
    station.drain()
    before = {key: lines(store, key) for key in keys(store)}
    path.write_bytes(content)
    station.drain()
    assert {key: lines(store, key) for key in keys(store)} == before
    assert station.gap() == 1


def test_a_segment_without_a_whole_line_is_dropped(store: DirectoryObjectStore, folder: Path, station: Capture) -> None:
    (folder / f"{DEAD}-00000001.open").write_bytes(b'{"aft')
    count(folder, DEAD, given=2, written=0)
    assert station.drain().gap == 2
    assert keys(store, "capture/") == []


def test_objects_older_than_the_retention_are_deleted(store: DirectoryObjectStore, station: Capture) -> None:
    for hour in ("2026/01/31/23", "2026/02/01/00", "2026/02/10/00"):
        store.put(f"{station.prefix}{hour}/1-1-00000001.jsonl", b"{}\n")
    assert station.expire(now=datetime(2026, 3, 3, 0, 30, tzinfo=UTC)) == 1
    assert [key.removeprefix(station.prefix)[:13] for key in keys(store)] == ["2026/02/01/00", "2026/02/10/00"]


def test_landing_objects_are_exported_in_sagemakers_layout(
    store: DirectoryObjectStore, folder: Path, station: Capture
) -> None:
    path = segment(folder, DEAD, 1, 0, 1)
    path.write_bytes(path.read_bytes() + json.dumps(request(2, rows=2)).encode() + b"\n")
    station.drain()
    assert station.export_sagemaker(store, "export") == 1
    assert station.export_sagemaker(store, "export") == 1
    (key,) = keys(store, "export/")
    assert key == "export/prices/main/2026/03/02/09/10-11-123-1.jsonl"
    first, second = lines(store, key)
    assert json.loads(first["captureData"]["endpointInput"]["data"])["instances"] == [
        {"sector": "Energy", "change": 0.0, "trading_day": "2026-03-01"}
    ]
    assert [p["prediction"] for p in json.loads(second["captureData"]["endpointOutput"]["data"])["predictions"]] == [
        10.0,
        11.0,
    ]


@pytest.mark.parametrize(("regression", "kind"), [(True, "double"), (False, "varchar")])
def test_the_table_is_loaded_by_the_same_ingest(regression: bool, kind: str) -> None:
    table = capture_table(SPEC, system="stock_prices", regression=regression)
    assert table.name == "prices_capture"
    assert table.unique_key == ["inference_id", "row_number"]
    assert {c.name: c.type for c in table.columns}["prediction"] == kind
    (source,) = table.sources
    assert (source.prefix, source.suffix, source.format.type) == ("capture/stock_prices/prices/", ".jsonl", "jsonl")


def test_requests_are_exported_in_sagemakers_format() -> None:
    captured = CapturedRequest(
        sequence=1,
        captured_at="2026-03-02T09:10:11.123456Z",
        inference_id="prices.g2.main.0f2f",
        request_id="r",
        endpoint="stock_prices/prices",
        variant="main",
        generation=2,
        version=7,
        digest="d",
        content_type="text/csv",
        rows=[{"change": 1.0}],
        predictions=[CapturedPrediction(2.5, None, [])],
    )
    line = json.loads(data_capture_line(captured, prediction="price"))
    assert line == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "application/json",
                "mode": "INPUT",
                "data": '{"instances":[{"change":1.0}]}',
                "encoding": "JSON",
            },
            "endpointOutput": {
                "observedContentType": "application/json",
                "mode": "OUTPUT",
                "data": '{"predictions":[{"price":2.5,"flags":[]}]}',
                "encoding": "JSON",
            },
        },
        "eventMetadata": {
            "eventId": "0f2f",
            "inferenceId": "prices.g2.main.0f2f",
            "inferenceTime": "2026-03-02T09:10:11Z",
        },
        "eventVersion": "0",
    }
    assert data_capture_key("s3/x", "prices", captured) == "s3/x/prices/main/2026/03/02/09/10-11-123-0f2f.jsonl"


def test_captured_rows_reach_the_warehouse_once_also_where_a_request_was_retried(
    store: DirectoryObjectStore, folder: Path, station: Capture, tmp_path: Path
) -> None:
    warehouse = DuckLakeWarehouse(tmp_path / "warehouse", threads=1)
    ingest = Ingest(
        warehouse, store, capture_table(SPEC, system="stock_prices", regression=True), system="stock_prices", streams={}
    )
    path = segment(folder, DEAD, 1, 0, 1)
    path.write_bytes(
        path.read_bytes() + json.dumps({**request(2, rows=2), "inference_id": "prices.g2.main.1"}).encode() + b"\n"
    )
    station.drain()
    (receipt,) = ingest.run()
    assert (receipt.arrived, receipt.loaded, receipt.duplicates, receipt.quarantined) == (3, 2, 1, 0)
    assert ingest.run() == []
    rows = warehouse.query(
        "SELECT row_number, captured_at, version, prediction, flags, features, keys FROM prices_capture ORDER BY row_number"
    ).to_pylist()
    warehouse.close()
    assert [(r["row_number"], r["version"], r["prediction"]) for r in rows] == [(1, 7, 10.0), (2, 7, 11.0)]
    assert rows[0]["captured_at"].replace(tzinfo=None) == datetime(2026, 3, 2, 9, 10, 11, 123456)  # noqa: DTZ001 - UTC by contract
    assert json.loads(rows[1]["features"]) == {"sector": "Energy", "change": 1.0}
    assert json.loads(rows[1]["keys"]) == {"trading_day": "2026-03-01"}
    assert json.loads(rows[0]["flags"]) == ["unseen:sector"]


def test_machines_whose_processes_have_the_same_names_capture_into_one_store(tmp_path: Path) -> None:
    store = DirectoryObjectStore(tmp_path / "objects")
    for machine, sequences in (("a-", (1, 3)), ("b-", (1, 2, 4))):
        segment(tmp_path / machine / "stock_prices" / "prices", DEAD, 1, 0, *sequences)
        Capture(store, tmp_path / machine, SPEC, system="stock_prices", mark=machine).drain()
    folder = "capture/stock_prices/prices/2026/03/02/09"
    assert [info.key for info in store.list("capture/")] == [f"{folder}/{m}{DEAD}-00000001.jsonl" for m in ("a-", "b-")]
    assert Capture(store, tmp_path / "c-", SPEC, system="stock_prices").gap() == 2
