"""The gateway as a function behind API Gateway: admitted, answered, followed and captured as by the gateway that runs always."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from mlplatform.core.capture.masking import MASK_SECRET, Masking
from mlplatform.errors import ProfileError
from mlplatform.gateway.aws_lambda import make_handler
from mlplatform_tests.aws_calls import recorder
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.gateway.lambda_site import LambdaSite
from mlplatform_tests.gateway.recorded_function import FILE, HANDLER
from mlplatform_tests.gateway.site import NAME, ROW
from mlplatform_tests.packages import make_package
from mlplatform_tests.servers.ministack.faults import faults_before
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


@pytest.mark.parametrize("kind", ["http", "rest"])
def test_a_call_through_api_gateway_is_answered_and_kept_before_its_answer(
    site: LambdaSite, packages: dict[str, Path], kind: str
) -> None:
    site.deploy(1, min(packages))
    token, key = site.keys.create(NAME, label="test", now=datetime.now(UTC))
    with site.function() as function:
        url = function.http_api() if kind == "http" else function.rest_api()
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


@pytest.mark.slow
def test_what_sagemaker_captures_the_function_does_not(site: LambdaSite, packages: dict[str, Path]) -> None:
    site.settings = {"capture": {}}
    site.deploy(1, min(packages), public=True)
    with site.function() as function, httpx.Client(base_url=function.http_api(), timeout=60) as client:
        assert client.post("/predict/prices", json=ROW).status_code == 200
    until(lambda: bool(list(site.store.list("_captured/"))))
    assert site.captured() == {}


def test_the_stage_before_a_path_is_none_of_the_routes(site: LambdaSite, packages: dict[str, Path]) -> None:
    # As AWS describes it (payload format 2.0); the local API Gateway leaves the stage out.
    site.deploy(1, min(packages), public=True)
    http = {"method": "POST", "path": "/live/predict/prices", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"}
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/live/predict/prices",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "id.execute-api.us-east-1.amazonaws.com"},
        "requestContext": {"accountId": "123456789012", "apiId": "id", "http": http, "stage": "live"},
        "body": json.dumps(ROW),
        "isBase64Encoded": False,
    }
    with site.function() as function:
        answer = function.invoke(event)
    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"])["model"]["version"] == 11


def test_what_cannot_be_kept_now_the_next_call_keeps(site: LambdaSite, packages: dict[str, Path]) -> None:
    site.deploy(1, min(packages), public=True)
    with faults_before(site.ministack.port) as faults:
        s3 = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{faults.port}"}
        with site.function(**s3) as function, httpx.Client(base_url=function.http_api(), timeout=60) as client:
            assert client.get("/ping").status_code == 200
            faults.refuse("PutObject", "AccessDenied", status=403)
            assert client.post("/predict/prices", json=ROW, headers={"x-request-id": "one"}).status_code == 200
            assert rows(site) == []
            assert client.post("/predict/prices", json=ROW, headers={"x-request-id": "two"}).status_code == 200
            assert sorted(row["request_id"] for row in rows(site)) == ["one", "two"]
            faults.refuse("PutObject", "AccessDenied", status=403)
            assert client.post("/predict/prices", json=ROW, headers={"x-request-id": "three"}).status_code == 200
    # The process is gone, and its machine has another.
    with site.function() as function, httpx.Client(base_url=function.http_api(), timeout=60) as client:
        assert client.post("/predict/prices", json=ROW, headers={"x-request-id": "four"}).status_code == 200
    assert sorted(row["request_id"] for row in rows(site)) == ["four", "one", "three", "two"]


@pytest.mark.slow
def test_while_its_records_cannot_be_read_callers_are_told_to_try_again(
    site: LambdaSite, packages: dict[str, Path]
) -> None:
    site.deploy(1, min(packages), public=True)
    with faults_before(site.ministack.port) as faults:
        faults.refuse("Query", "AccessDeniedException", times=2, message="on table T of account 123")
        variables = {"AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{faults.port}"}
        with site.function(**variables) as function, httpx.Client(base_url=function.http_api(), timeout=60) as client:
            answer = client.post("/predict/prices", json=ROW)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable_error")
            assert "123" not in answer.text
            assert client.post("/predict/prices", json=ROW).status_code == 200


@pytest.mark.slow
def test_masked_fields_are_kept_masked_and_all_it_asks_of_aws_is_listed(
    site: LambdaSite, packages: dict[str, Path], tmp_path: Path
) -> None:
    site.deploy(1, min(packages), capture={"mask": ["sector"]})
    token, _ = site.keys.create(NAME, label="test", now=datetime.now(UTC))
    ssm = boto3.client("ssm", **site.ministack.client_options)
    ssm.put_parameter(Name=f"/{site.name}/{MASK_SECRET}", Value="a key", Type="SecureString")
    calls = {FILE: str(tmp_path / "calls.json")}
    with site.function(HANDLER, **calls) as function, httpx.Client(base_url=function.http_api(), timeout=60) as client:
        client.headers["authorization"] = f"Bearer {token}"
        assert client.post("/predict/prices", json=ROW).status_code == 200
        (kept,) = rows(site)
        site.deploy(2, max(packages))
        assert client.post("/predict/prices", json=ROW).json()["model"]["generation"] == 2
        assert client.get("/endpoints").status_code == 200
    asked = json.loads((tmp_path / "calls.json").read_text())
    assert "sagemaker:InvokeEndpoint" in asked
    recorder.CALLED.update(("gateway: as a Lambda", call) for call in asked)
    masking = Masking(frozenset({"sector"}), frozenset(), key=b"a key")
    assert [kept["features"]] == list(masking.rows([ROW]))
    assert kept["features"]["sector"] != ROW["sector"]


def test_a_profile_that_serves_models_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="a function is no place for models"):
        make_handler({"MLPLATFORM_PROFILE": "local", "MLPLATFORM_HOME": str(tmp_path)})
