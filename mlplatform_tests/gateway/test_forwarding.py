"""The gateway before endpoints on SageMaker: one hop more, the same answers, and each told as the generation that gave it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlplatform.adapters.endpoints.sagemaker import SageMakerEndpoints
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.core.capture.record import decode_request
from mlplatform.serving.api_keys import ApiKeys
from mlplatform_tests.conformance.endpoint_places import SageMakerPlace, sagemaker_place
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.gateway.callers import Callers
from mlplatform_tests.gateway.forwarding import forwarding
from mlplatform_tests.gateway.site import NAME, ROW, record
from mlplatform_tests.packages import make_package
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server
from mlplatform_tests.serving.capturing import captured_lines
from mlplatform_tests.serving.until import until

__all__ = ["ministack_server", "sagemaker_place", "sagemaker_server"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two packages by digest."""
    folder = tmp_path_factory.mktemp("packages")
    return {make_package(folder / str(seed), seed=seed): folder / str(seed) for seed in (0, 1)}


@pytest.fixture
def place(sagemaker_place: SageMakerPlace, packages: dict[str, Path]) -> SageMakerPlace:
    (sagemaker_place.root / "packages").mkdir(parents=True)
    for digest, folder in packages.items():
        (sagemaker_place.root / "packages" / digest).symlink_to(folder)
    return sagemaker_place


def deploy(endpoints: SageMakerEndpoints, generation: int, digest: str, **settings: Any) -> None:
    endpoints.deploy(record(generation, digest, version=generation + 10, **settings))


def opened(place: SageMakerPlace, **settings: Any) -> SageMakerEndpoints:
    """Looked at often."""
    return place.open(follow_s=0.2, **settings)


def key(place: SageMakerPlace) -> str:
    return ApiKeys(SqliteItemStore(place.root / "items.sqlite")).create(NAME, label="test", now=datetime.now(UTC))[0]


def spooled(place: SageMakerPlace) -> list[bytes]:
    """Lines of the gateway's own capture, but for headers."""
    return captured_lines(place.root / "capture")


def test_a_call_is_admitted_here_and_answered_there(place: SageMakerPlace, packages: dict[str, Path]) -> None:
    endpoints = opened(place)
    deploy(endpoints, 1, min(packages))
    endpoints.wait(NAME, 1, timeout_s=60)
    row = {**ROW, "trading_day": "2026-01-02"}
    with forwarding(place, endpoints) as url, httpx.Client(base_url=url, timeout=60) as client:
        assert client.post("/predict/prices", json=row).status_code == 401
        client.headers["authorization"] = f"Bearer {key(place)}"
        answer = client.post("/predict/prices", json=row, headers={"x-request-id": "req-1"})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["model"] == {"name": "stock_prices.stock_model", "version": 11, "generation": 1}
        assert found["inference_id"].startswith("prices.g1.main.")
        assert answer.headers["x-inference-id"] == found["inference_id"]
        assert answer.headers["x-request-id"] == "req-1"
        assert answer.headers["x-mlplatform-model-version"] == "11"
        again = client.post("/predict/prices", json=row, headers={"x-request-id": "req-1"})
        assert again.json() == found
        as_csv = client.post(
            "/predict/prices", content="AAPL,Information Technology,1.5\n", headers={"content-type": "text/csv"}
        )
        assert float(as_csv.text.splitlines()[1].partition(",")[0]) == found["predictions"][0]["price"]
        wrong = client.post("/predict/prices", json={**row, "change": "much"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "data_error")
        assert "change" in wrong.json()["error"]["message"]
        place.account.refuse("InvokeEndpoint", "AccessDeniedException", status=403)
        refused = client.post("/predict/prices", json=row)
        assert refused.status_code == 503
        assert refused.json()["error"]["message"] == f"Endpoint '{NAME}' cannot be asked now."
        until(lambda: len(spooled(place)) == 3)
    first = decode_request(spooled(place)[0])
    assert (first.generation, first.version, first.digest, first.request_id) == (1, 11, min(packages), "req-1")
    assert first.inference_id == found["inference_id"]
    assert first.rows == [row]
    assert first.predictions[0].value == found["predictions"][0]["price"]


def test_callers_notice_an_update_only_by_what_answers(place: SageMakerPlace, packages: dict[str, Path]) -> None:
    endpoints = opened(place)
    first, second = packages
    deploy(endpoints, 1, first)
    endpoints.wait(NAME, 1, timeout_s=60)
    with forwarding(place, endpoints) as url, Callers(url, key(place), clients=3) as callers:
        until(lambda: len(callers.calls) > 20)
        deploy(endpoints, 2, second)
        endpoints.wait(NAME, 2, timeout_s=60)
        enough = len(callers.calls) + 20
        until(lambda: len(callers.calls) > enough)
    assert callers.failed == []
    told = {(call.generation, call.version, call.price) for call in callers.calls}
    assert {(generation, version) for generation, version, _ in told} == {(1, 11), (2, 12)}
    assert len(told) == 2
    captured = [decode_request(line) for line in spooled(place)]
    assert {(r.generation, r.digest, r.predictions[0].value) for r in captured} == {
        (generation, (first, second)[generation - 1], price) for generation, _, price in told
    }


@pytest.mark.slow
def test_an_endpoint_that_is_being_made_is_told_as_that(place: SageMakerPlace, packages: dict[str, Path]) -> None:
    endpoints = opened(place)
    place.account.expect("stuck")
    deploy(endpoints, 1, min(packages), public=True)
    with forwarding(place, endpoints) as url, httpx.Client(base_url=url, timeout=60) as client:
        answer = client.post("/predict/prices", json=ROW)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        (seen,) = client.get("/endpoints").json()
        assert (seen["status"], seen["generation"], seen["live_generation"]) == ("Updating", 1, 0)
        place.account.mend()
        endpoints.wait(NAME, 1, timeout_s=60)
        assert client.post("/predict/prices", json=ROW).status_code == 200


@pytest.mark.slow
def test_what_sagemaker_captures_the_gateway_does_not(place: SageMakerPlace, packages: dict[str, Path]) -> None:
    endpoints = opened(place, capture={})
    deploy(endpoints, 1, min(packages), public=True)
    endpoints.wait(NAME, 1, timeout_s=60)
    with forwarding(place, endpoints) as url, httpx.Client(base_url=url, timeout=60) as client:
        found = client.post("/predict/prices", json=ROW, headers={"x-request-id": "req-1"}).json()
    s3 = place.s3
    listed: list[Any] = []

    def there() -> bool:
        listed[:] = s3.list_objects_v2(Bucket=place.bucket, Prefix="lake/_captured/").get("Contents", [])
        return bool(listed)

    until(there)
    line = json.loads(s3.get_object(Bucket=place.bucket, Key=listed[0]["Key"])["Body"].read())
    assert json.loads(line["captureData"]["endpointInput"]["data"]) == {"instances": [ROW]}
    assert json.loads(line["captureData"]["endpointOutput"]["data"])["inference_id"] == found["inference_id"]
    assert line["eventMetadata"]["inferenceId"] == "req-1"
    assert spooled(place) == []


@pytest.mark.slow
def test_who_captures_is_what_serves_and_not_what_the_profile_says(
    place: SageMakerPlace, packages: dict[str, Path]
) -> None:
    """The profile says from now on that SageMaker captures, then that it does not; the gateway knows of neither."""
    endpoints = opened(place)
    deploy(endpoints, 1, min(packages), public=True)
    endpoints.wait(NAME, 1, timeout_s=60)
    calls = 0
    with forwarding(place, endpoints) as url, httpx.Client(base_url=url, timeout=60) as client:

        def call() -> bool:
            """Whether the gateway captured a call."""
            nonlocal calls
            calls, before = calls + 1, len(spooled(place))
            assert client.post("/predict/prices", json=ROW, headers={"x-request-id": f"req-{calls}"}).is_success
            try:
                until(lambda: len(spooled(place)) > before, timeout_s=0.5)
            except AssertionError:
                return False
            return True

        until(call)
        opened(place, capture={}).wait(NAME, 1, timeout_s=60)
        until(lambda: not call())
        opened(place).wait(NAME, 1, timeout_s=60)
        until(call)
        prefix = {"Bucket": place.bucket, "Prefix": "lake/_captured/"}
        keys: set[str] = set()
        own = {decode_request(line).request_id for line in spooled(place)}

        def everyone() -> bool:
            keys.update(o["Key"] for o in place.s3.list_objects_v2(**prefix).get("Contents", ()))
            lines = (place.s3.get_object(Bucket=place.bucket, Key=key)["Body"].read() for key in keys)
            theirs = {
                json.loads(text)["eventMetadata"]["inferenceId"] for found in lines for text in found.splitlines()
            }
            return own | theirs == {f"req-{number + 1}" for number in range(calls)}

        until(everyone)
