"""One prediction traced back to the rows, the code and the runs that made its model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlplatform.errors import DataError, NotFoundError, StateError
from mlplatform.ports.endpoints import Deployment
from mlplatform.stations.lineage import Lineage
from mlplatform_tests.stations.monitored import ENDPOINT, SYSTEM, World, make_days, open_world
from mlplatform_tests.stations.test_monitor import answer, load_capture

ID = "stock_prices.g1.main.0197a9e0-0000-7000-8000-000000000001"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return open_world(tmp_path, mlflow=True)


@pytest.fixture
def deployment(world: World) -> Deployment:
    return world.deploy(make_days(0, 50))


def lineage(world: World, *, warehouse: bool = False) -> Lineage:
    return Lineage(
        world.endpoints,
        world.tracking,
        world.store,
        world.items,
        system=SYSTEM,
        warehouse=world.warehouse if warehouse else None,
    )


def test_the_whole_chain_follows_from_the_id(world: World, deployment: Deployment) -> None:
    world.items.put("verdicts", deployment.digest, {"passed": True, "reason": "better by 0.04"})
    request = {"id": f"{ENDPOINT}/00000001", "reason": "evaluation e failed quality", "run_id": "run-1"}
    world.items.put("retrain_requests", f"{ENDPOINT}/00000001", request)
    record = lineage(world).trace(ID)
    assert (record.endpoint, record.generation, record.variant) == (ENDPOINT, 1, "main")
    (version,) = world.tracking.versions(deployment.model)
    assert (record.version, record.digest, record.dagster_run) == (1, deployment.digest, "run-1")
    assert (record.mlflow_run, record.metrics["r2"]) == (version.run_id, 0.951)
    assert (record.training_job, record.code_commit, record.trained_to) == ("price-job-1", "0" * 40, "2020-02-19")
    assert [(p.channel, p.key, p.rows, p.present) for p in record.parts] == [
        ("train", "unload/0/train/part-0.parquet", 150, True)
    ]
    assert record.verdict == {"passed": True, "reason": "better by 0.04"}
    assert record.request == request
    assert json.loads(json.dumps(record.to_json()))["parts"][0]["sha256"] == record.parts[0].sha256


def test_the_text_names_every_step(world: World, deployment: Deployment) -> None:
    world.store.delete("unload/0/train/part-0.parquet")
    text = lineage(world).trace(ID).text()
    for step in (
        f"prediction   {ID}",
        "endpoint     stock_prices/stock_prices, generation 1, variant main",
        f"model        stock_prices.stock_model version 1, digest {deployment.digest[:12]}",
        "gate         no verdict stored",
        f"mlflow run   {world.tracking.versions(deployment.model)[0].run_id}",
        "training job price-job-1",
        f"code commit  {'0' * 40}",
        "rows         150 up to 2020-02-19",
        "train: unload/0/train/part-0.parquet, 150 rows",
    ):
        assert step in text
    assert text.endswith("GONE")


def test_the_answer_itself_is_found_in_the_capture(world: World, deployment: Deployment) -> None:
    before = lineage(world, warehouse=True).trace(ID)
    unknown = "not in the capture: not loaded yet, sampled out, expired, or never given"
    assert (before.captured, before.captured_state, before.to_json()["captured_state"]) == ((), unknown, unknown)
    assert before.text().splitlines()[1] == f"answer       {unknown}"
    asked = answer(0, deployment.digest, {"ticker_symbol": "AAPL", "trading_day": "2020-02-20"}, 101.5)
    asked.inference_id = ID
    load_capture(world, [asked])
    record = lineage(world, warehouse=True).trace(ID)
    assert [(json.loads(c["features"])["ticker_symbol"], c["prediction"]) for c in record.captured] == [("AAPL", 101.5)]
    assert '"2020-02-20"} → 101.5 at 2026-01-01' in record.text()
    assert record.captured_state == record.to_json()["captured_state"] == "captured"
    assert record.text().splitlines()[2] == "answer       captured"
    invented = lineage(world, warehouse=True).trace(ID.replace("000001", "000002"))
    assert (invented.captured_state, invented.version) == (unknown, record.version)
    assert lineage(world).trace(ID).captured_state == "not asked: no capture at hand"


def test_the_text_of_a_large_request_shows_its_first_rows(world: World, deployment: Deployment) -> None:
    asked = answer(0, deployment.digest, {"ticker_symbol": "AAPL"}, 101.5)
    asked.inference_id, asked.rows, asked.predictions = ID, asked.rows * 7, asked.predictions * 7
    load_capture(world, [asked])
    record = lineage(world, warehouse=True).trace(ID)
    assert len(record.captured) == 7
    lines = record.text().splitlines()
    assert (lines[5].strip().split(":")[0], lines[6].strip()) == ("row 5", "and 2 rows more")


@pytest.mark.parametrize(
    ("inference_id", "message"),
    [
        (ID.replace(".g1.", ".g7."), "Endpoint 'stock_prices/stock_prices' has no generation 7; it has 1 to 1"),
        (
            ID.replace("stock_prices.", "other."),
            "Endpoint 'stock_prices/other' has no generation 1; it was never deployed",
        ),
    ],
)
def test_what_is_not_there_is_named(world: World, deployment: Deployment, inference_id: str, message: str) -> None:
    with pytest.raises(NotFoundError, match=message):
        lineage(world).trace(inference_id)


def test_what_is_no_inference_id_is_refused(world: World) -> None:
    with pytest.raises(DataError, match="'stock_prices' is no inference id; expected"):
        lineage(world).trace("stock_prices")


def test_a_snapshot_that_is_gone_or_damaged_is_said(world: World, deployment: Deployment) -> None:
    world.store.put("unload/0/manifest.json", b'{"channels": {"train": [{"key": "x"}]}}')
    with pytest.raises(StateError, match=r"'unload/0/manifest.json' is damaged"):
        lineage(world).trace(ID)
    world.store.delete("unload/0/manifest.json")
    with pytest.raises(NotFoundError, match=r"manifest 'unload/0/manifest.json' is gone"):
        lineage(world).trace(ID)
