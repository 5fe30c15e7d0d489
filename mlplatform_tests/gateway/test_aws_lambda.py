"""The gateway as a function behind API Gateway: admitted, answered, followed and captured as by the gateway that runs always."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.gateway.lambda_site import LambdaSite
from mlplatform_tests.gateway.site import NAME, ROW
from mlplatform_tests.packages import make_package
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server
from mlplatform_tests.servers.sagemaker.server import SageMaker
from mlplatform_tests.serving.until import until

__all__ = ["ministack_server", "sagemaker_server"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("packages")
    return {make_package(folder / str(seed), seed=seed): folder / str(seed) for seed in (0, 1)}


@pytest.fixture
def site(
    ministack_server: Ministack, sagemaker_server: SageMaker, tmp_path: Path, packages: dict[str, Path]
) -> Iterator[LambdaSite]:
    found = LambdaSite(ministack_server, sagemaker_server, tmp_path, packages)
    yield found
    found.close()


def rows(site: LambdaSite) -> list[dict[str, Any]]:
    return [json.loads(line) for data in site.captured().values() for line in data.splitlines()]


@pytest.mark.parametrize("kind", ["http", "rest", "stage"])
def test_a_call_through_api_gateway_is_answered_and_kept_before_its_answer(
    site: LambdaSite, packages: dict[str, Path], kind: str
) -> None:
    site.deploy(1, min(packages))
    token, key = site.keys.create(NAME, label="test", now=datetime.now(UTC))
    with site.function() as function:
        url = {"http": function.http_api, "rest": function.rest_api, "stage": lambda: function.http_api("live")}[kind]()
        with httpx.Client(base_url=url, timeout=60) as client:
            assert client.post("/predict/prices", json=ROW).status_code == 401
            client.headers["authorization"] = f"Bearer {token}"
            row = {**ROW, "trading_day": "2026-01-02"}
            answer = client.post("/predict/prices", json=row, headers={"x-request-id": "req-1"})
            assert answer.status_code == 200, answer.text
            (kept,) = rows(site)
            found = answer.json()
            assert found["model"] == {"name": "stock_prices.stock_model", "version": 11, "generation": 1}
            assert answer.headers["x-inference-id"] == found["inference_id"] == kept["inference_id"]
            assert kept["prediction"] == found["predictions"][0]["price"]
            assert (kept["request_id"], kept["digest"], kept["keys"]) == (
                "req-1",
                min(packages),
                {"trading_day": "2026-01-02"},
            )
            if kind != "http":
                return
            as_csv = client.post(
                "/predict/prices", content="AAPL,Information Technology,1.5\n", headers={"content-type": "text/csv"}
            )
            assert float(as_csv.text.splitlines()[1].partition(",")[0]) == found["predictions"][0]["price"]
            wrong = client.post("/predict/prices", json={**ROW, "change": "much"})
            assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "data_error")
            assert client.get("/ping").status_code == 200
            assert [e["endpoint"] for e in client.get("/endpoints").json()] == [NAME]
            site.keys.revoke(key.id, now=datetime.now(UTC))
            until(lambda: client.post("/predict/prices", json=ROW).status_code == 401)


def test_it_follows_the_deployment_record(site: LambdaSite, packages: dict[str, Path]) -> None:
    first, second = packages
    site.deploy(1, first, public=True)
    with site.function() as function, httpx.Client(base_url=function.http_api(), timeout=60) as client:
        assert client.post("/predict/prices", json=ROW).json()["model"]["generation"] == 1
        site.deploy(2, second, public=True)
        assert client.post("/predict/prices", json=ROW).json()["model"] == {
            "name": "stock_prices.stock_model",
            "version": 12,
            "generation": 2,
        }
        site.endpoints.remove(NAME)
        until(lambda: client.post("/predict/prices", json=ROW).status_code == 404)
    assert {(row["generation"], row["digest"]) for row in rows(site)} == {(1, first), (2, second)}


def test_what_sagemaker_captures_the_function_does_not(site: LambdaSite, packages: dict[str, Path]) -> None:
    site.settings = {"capture": {}}
    site.deploy(1, min(packages), public=True)
    with site.function() as function, httpx.Client(base_url=function.http_api(), timeout=60) as client:
        assert client.post("/predict/prices", json=ROW).status_code == 200
    until(lambda: bool(list(site.store.list("_captured/"))))
    assert site.captured() == {}
