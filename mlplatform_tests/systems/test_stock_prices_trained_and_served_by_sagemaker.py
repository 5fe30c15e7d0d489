"""The shipped system under the shipped profile `aws`: trained and served by SageMaker as well as on this machine.

Its model is made small and is not searched for; as it is, the demo's whole loop trains it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pyarrow.csv as pacsv
import pytest
import yaml

from mlplatform.platform import SystemStations, open_platform
from mlplatform.platform.line import build_features, register_candidate, release, train_candidate
from mlplatform.serving.api_keys import ApiKeys
from mlplatform_tests.components.site import SMALL
from mlplatform_tests.gateway.test_main import command
from mlplatform_tests.prices import price_rows
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import running
from mlplatform_tests.systems.aws_profile import SYSTEM, AwsProject

DAYS = 120
ROW = {"ticker_symbol": "AAPL", "sector": "Information Technology", "change": 1.5}


@dataclass(frozen=True)
class Released:
    """What came of it: the rows by channel, the gate's metrics, what the release told, and a predicted price."""

    rows: dict[str, int]
    metrics: dict[str, float]
    told: dict[str, Any]
    price: float


def test_it_gives_the_same_metrics_and_price_as_on_this_machine(aws: AwsProject) -> None:
    make_small(Path(aws.env["MLPLATFORM_DEFS"]) / SYSTEM / "defs.yaml")
    found = released(aws.env)
    assert found.told["status"] == "InService"
    assert (found.told["generation"], found.told["live_generation"]) == (1, 1)
    client = boto3.client("sagemaker", **aws.account.client_options)
    assert [job["TrainingJobStatus"] for job in client.list_training_jobs()["TrainingJobSummaries"]] == ["Completed"]
    [endpoint] = client.list_endpoints()["Endpoints"]
    assert endpoint["EndpointStatus"] == "InService"
    client.close()
    here = released({**aws.env, "MLPLATFORM_PROFILE": "local", "MLPLATFORM_HOME": str(aws.folder / "embedded")})
    assert found.rows == here.rows
    assert found.metrics == pytest.approx(here.metrics, rel=1e-9)
    assert found.price == pytest.approx(here.price, rel=1e-6)


def make_small(path: Path) -> None:
    """Fewer and lower trees, and no search."""
    documents = list(yaml.safe_load_all(path.read_text()))
    [model] = [document for document in documents if document["type"] == "mlplatform.Model"]
    model["attributes"].update(SMALL)
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False))


def released(env: Mapping[str, str]) -> Released:
    """The system from its first file to a call that the gateway answers."""
    with closing(open_platform(env)) as platform:
        stations = platform.system(SYSTEM)
        stations.prepare()
        file = io.BytesIO()
        pacsv.write_csv(price_rows(0, DAYS), file)
        platform.store.put(f"{SYSTEM}/base/days.csv", file.getvalue())
        assert sum(receipt.loaded for receipt in stations.ingest("stock_table").run()) == DAYS * 20
        build_features(stations, "stock_features", parameters={}, run_id="run-1", request=None)
        train_candidate(stations, "stock_model", run_id="run-1", request=None, on_log=lambda _: None)
        register_candidate(stations, "stock_model", run_id="run-1")
        told = dict(release(stations, SYSTEM, run_id="run-1", request=None).metadata)
        version = stations.registry("stock_model").versions()[-1]
        snapshot = stations.features("stock_features").latest(run_id="run-1")
        metrics = {name: value for name, value in version.metrics.items() if name in ("r2", "rmse", "mae")}
        return Released(dict(snapshot.rows), metrics, told, predicted(stations, env))


def predicted(stations: SystemStations, env: Mapping[str, str]) -> float:
    """The price that a gateway of this platform answers with, as soon as it does."""
    home, port = stations.platform.home, free_port()
    token, _ = ApiKeys(stations.platform.items).create(f"{SYSTEM}/{SYSTEM}", label="test", now=datetime.now(UTC))
    argv, given = command("--port", str(port), home=home.root, **env)
    answers: list[httpx.Response] = []
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False) as client:

        def answered() -> bool:
            with suppress(httpx.TransportError):
                answers.append(client.post(f"/predict/{SYSTEM}", json=ROW))
            return bool(answers) and answers[-1].status_code == 200

        with running(argv, ready=answered, log=home.root.parent / "gateway.log", env=given):
            return float(answers[-1].json()["predictions"][0]["price"])
