"""What SageMaker captured becomes the landing objects that the gateway's capture would make, once."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.core.codecs import RequestFields
from mlplatform.errors import NotFoundError
from mlplatform.ports.endpoints import Deployment
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.stations.capture import Drained
from mlplatform.stations.service_capture import LOOK_S, ServiceCapture
from mlplatform_tests.packages import INPUTS

SPEC = EndpointSpec(name="prices", model="stock_model", prediction="price", keys=["trading_day"])
PREFIX = "_captured/mlplatform-prices-1a2b3c/"
KEY = f"{PREFIX}main/2026/03/02/09/10-11-123-7e1f.jsonl"
ROW = {"ticker_symbol": "AAPL", "sector": "Energy", "change": 1.5, "trading_day": "2026-03-01"}


def deployment(generation: int) -> Deployment:
    return Deployment(
        endpoint="stock_prices/prices",
        generation=generation,
        model="stock_prices.stock_model",
        version=generation + 5,
        digest=f"{generation}" * 64,
        reason="test",
        run_id="",
        created_at="",
        settings=SPEC.model_dump(mode="json"),
    )


@pytest.fixture
def store(tmp_path: Path) -> DirectoryObjectStore:
    return DirectoryObjectStore(tmp_path / "store")


class Clock:
    """Seconds, set by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def capture(store: DirectoryObjectStore, tmp_path: Path, clock: Clock) -> ServiceCapture:
    return ServiceCapture(
        store,
        tmp_path / "spool",
        SPEC,
        system="stock_prices",
        prefix=PREFIX,
        history=lambda: [deployment(1), deployment(2)],
        fields=lambda _: RequestFields(INPUTS, ("trading_day",)),
        clock=clock,
    )


def line(
    sent: str, *, kind: str = "application/json", generation: int = 2, values: tuple[float, ...] = (10.5,), **more: Any
) -> str:
    """A line as SageMaker writes it."""
    answer = {
        "predictions": [{"price": value, "flags": ["unseen:sector"]} for value in values],
        "inference_id": f"prices.g{generation}.main.0197",
        "model": {"name": "stock_prices.stock_model", "version": generation + 5, "generation": generation},
    }
    part = {"observedContentType": kind, "mode": "INPUT", "data": sent, "encoding": "JSON"}
    output = {
        "observedContentType": "application/json",
        "mode": "OUTPUT",
        "data": json.dumps(answer),
        "encoding": "JSON",
    }
    data = {"endpointInput": part, "endpointOutput": {**output, **more.pop("output", {})}}
    event = {"eventId": "e-1", "inferenceTime": "2026-03-02T09:10:11Z", **more}
    return json.dumps({"captureData": data, "eventMetadata": event, "eventVersion": "0"})


def put(store: DirectoryObjectStore, *lines: str, key: str = KEY) -> None:
    store.put(key, "".join(f"{text}\n" for text in lines).encode())


def landed(store: DirectoryObjectStore) -> list[dict[str, Any]]:
    found = []
    for info in store.list("capture/stock_prices/prices/"):
        with store.open(info.key) as file:
            found += [json.loads(text) for text in file.read().splitlines()]
    return found


def test_each_row_has_what_the_gateways_capture_gives_it(store: DirectoryObjectStore, capture: ServiceCapture) -> None:
    rows = {"instances": [ROW, {**ROW, "change": 2.5}]}
    put(store, line(json.dumps(rows), values=(10.5, 11.5), inferenceId="req-1"))
    assert capture.drain() == Drained(objects=1, requests=1, rows=2)
    assert [info.key for info in store.list("")] == ["capture/stock_prices/prices/2026/03/02/09/10-11-123-7e1f.jsonl"]
    first, second = landed(store)
    assert first == {
        "inference_id": "prices.g2.main.0197",
        "row_number": 1,
        "captured_at": "2026-03-02T09:10:11Z",
        "variant": "main",
        "generation": 2,
        "version": 7,
        "digest": "2" * 64,
        "request_id": "req-1",
        "prediction": 10.5,
        "probabilities": None,
        "flags": ["unseen:sector"],
        "features": {"ticker_symbol": "AAPL", "sector": "Energy", "change": 1.5},
        "keys": {"trading_day": "2026-03-01"},
    }
    assert (second["row_number"], second["prediction"]) == (2, 11.5)
    assert capture.drain() == Drained()


def test_a_call_in_csv_and_one_of_an_earlier_generation(store: DirectoryObjectStore, capture: ServiceCapture) -> None:
    put(store, line("AAPL,Energy,1.5\n", kind="text/csv", generation=1), line(json.dumps(ROW)))
    assert capture.drain().rows == 2
    first, second = landed(store)
    assert (first["generation"], first["version"], first["request_id"]) == (1, 6, "0197")
    assert first["features"] == second["features"]


def test_an_answer_in_base64_is_read(store: DirectoryObjectStore, capture: ServiceCapture) -> None:
    plain = json.loads(line(json.dumps(ROW)))["captureData"]["endpointOutput"]["data"]
    packed = {"data": base64.b64encode(plain.encode()).decode(), "encoding": "BASE64"}
    put(store, line(json.dumps(ROW), output=packed))
    assert capture.drain().rows == 1


@pytest.mark.parametrize(
    "broken",
    [
        "no line",
        line(json.dumps(ROW), output={"data": "price,flags\n10.5,\n", "encoding": "CSV"}),
        line(json.dumps(ROW), generation=9),
        line(json.dumps(ROW), values=(1.0, 2.0)),
        line('{"unknown": 1}'),
    ],
    ids=["torn", "an answer in CSV", "no record", "other rows", "another model's"],
)
def test_what_can_be_no_row_is_a_gap(store: DirectoryObjectStore, capture: ServiceCapture, broken: str) -> None:
    put(store, broken, line(json.dumps(ROW)))
    assert capture.drain() == Drained(objects=1, requests=1, rows=1, gap=1)
    assert capture.gap() == 1
    assert [info.key for info in store.list(PREFIX)] == []


def test_a_drain_that_was_killed_before_it_deleted_doubles_nothing(
    store: DirectoryObjectStore, capture: ServiceCapture, clock: Clock
) -> None:
    put(store, line(json.dumps(ROW)))
    capture.drain()
    before = landed(store)
    put(store, line(json.dumps(ROW)))
    clock.now += LOOK_S
    assert capture.drain().requests == 1
    assert landed(store) == before
    assert len(before) == 1


def test_files_are_looked_for_now_and_then(store: DirectoryObjectStore, capture: ServiceCapture, clock: Clock) -> None:
    assert capture.drain() == Drained()
    put(store, line(json.dumps(ROW)))
    clock.now += LOOK_S - 1
    assert capture.drain() == Drained()
    clock.now += 1
    assert capture.drain().requests == 1


def test_calls_of_a_generation_whose_package_is_gone_are_a_gap_and_hold_up_no_others(
    store: DirectoryObjectStore, tmp_path: Path
) -> None:
    def fields(found: Deployment) -> RequestFields:
        if found.generation == 1:
            raise NotFoundError("Model 'stock_prices.stock_model' has no candidate 1111….")
        return RequestFields(INPUTS, ("trading_day",))

    capture = ServiceCapture(
        store,
        tmp_path / "spool",
        SPEC,
        system="stock_prices",
        prefix=PREFIX,
        history=lambda: [deployment(1), deployment(2)],
        fields=fields,
    )
    put(store, line(json.dumps(ROW), generation=1), line(json.dumps(ROW)))
    assert capture.drain() == Drained(objects=1, requests=1, rows=1, gap=1)
    assert [info.key for info in store.list(PREFIX)] == []
