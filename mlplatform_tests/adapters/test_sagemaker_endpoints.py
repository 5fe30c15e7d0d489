"""Endpoints on SageMaker beyond the suite of the port: what comes into service, what does not, and what is asked for again."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from mlplatform.adapters.endpoints.sagemaker import SageMakerEndpoints
from mlplatform.adapters.endpoints.sagemaker_names import endpoint_name, generation_of
from mlplatform.errors import (
    DataError,
    JobError,
    PermissionDeniedError,
    ProfileError,
    ThrottledError,
    TimedOutError,
    UnavailableError,
)
from mlplatform.gateway.state import endpoint_views
from mlplatform.ports.endpoints import Deployment, EndpointState, SelfServed, SelfServing
from mlplatform_tests.conformance.endpoint_places import SageMakerPlace, sagemaker_place
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.gateway.site import ROW, spec
from mlplatform_tests.packages import make_package
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server

__all__ = ["ministack_server", "sagemaker_place", "sagemaker_server"]

NAME = "stock_prices/prices"
STEM = endpoint_name("mlplatform", NAME)
BODY = json.dumps({"instances": [ROW]}).encode()
ONCE = Config(retries={"total_max_attempts": 1})
MAKE = ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A package, and its digest."""
    folder = tmp_path_factory.mktemp("package") / "model"
    return folder, make_package(folder)


@pytest.fixture
def place(sagemaker_place: SageMakerPlace, made: tuple[Path, str]) -> SageMakerPlace:
    """With the package there."""
    folder, digest = made
    (sagemaker_place.root / "packages").mkdir(parents=True)
    (sagemaker_place.root / "packages" / digest).symlink_to(folder)
    return sagemaker_place


@pytest.fixture
def digest(made: tuple[Path, str]) -> str:
    return made[1]


def deployment(generation: int, digest: str, *, reason: str = "refresh") -> Deployment:
    return Deployment(
        endpoint=NAME,
        generation=generation,
        model="stock_prices.stock_model",
        version=generation,
        digest=digest,
        reason=reason,
        run_id="run-1",
        created_at="2026-01-02T03:04:05+00:00",
        settings=spec().model_dump(mode="json"),
    )


def once(place: SageMakerPlace, **settings: Any) -> SageMakerEndpoints:
    """An adapter whose client tries each call once."""
    found = place.open(**settings)
    return SageMakerEndpoints(
        found.settings,
        found.records._items,
        place.store,
        place.package,
        options={**place.account.client_options, "config": ONCE},
    )


def asked(endpoints: SageMakerEndpoints) -> tuple[int, float]:
    """Generation and value of an answer."""
    found = json.loads(endpoints.invoke(NAME, BODY, request_id="req-1").body)
    return found["model"]["generation"], found["predictions"][0]["price"]


def failed(endpoints: SageMakerEndpoints) -> EndpointState:
    """The state, when it is Failed."""
    deadline = time.monotonic() + 60
    while (state := endpoints.state(NAME)).status != "Failed":
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    return state


def made_calls(place: SageMakerPlace) -> Counter[str]:
    return Counter(call for call in place.account.calls if call in MAKE)


def test_it_serves_itself(place: SageMakerPlace) -> None:
    endpoints = place.open()
    assert isinstance(endpoints, SelfServing)
    assert not isinstance(endpoints, SelfServed)
    assert (endpoints.live_s, endpoints.captures) == (3600, False)
    assert place.open(capture={}).captures


def test_generations_come_into_service_one_after_the_other(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open(sizing={"instance_count": 2})
    endpoints.deploy(deployment(1, digest))
    before = endpoints.state(NAME)
    assert (before.status, before.live_generation, before.workers) == ("Updating", 0, 0)
    assert before.message == f"SageMaker's endpoint '{STEM}' is Creating; it does not answer with generation 1 yet."
    state = endpoints.wait(NAME, 1, timeout_s=60)
    assert (state.status, state.live_generation, state.workers) == ("InService", 1, 2)
    assert asked(endpoints)[0] == 1
    endpoints.deploy(deployment(2, digest, reason="rollback"))
    assert endpoints.state(NAME).status == "RollingBack"
    assert endpoints.wait(NAME, 2, timeout_s=60).live_generation == 2
    assert asked(endpoints)[0] == 2
    # Another process finds all done.
    assert place.open(sizing={"instance_count": 2}).wait(NAME, 1, timeout_s=60).live_generation == 2
    wanted = {"CreateModel": 2, "CreateEndpointConfig": 2, "CreateEndpoint": 1, "UpdateEndpoint": 1}
    assert made_calls(place) == wanted


@pytest.mark.slow
def test_what_is_deployed_while_another_is_on_its_way_waits_for_it(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open()
    for generation in (1, 2, 3):
        endpoints.deploy(deployment(generation, digest))
    assert endpoints.wait(NAME, 2, timeout_s=60).live_generation == 3
    assert made_calls(place)["UpdateEndpoint"] == 1


def test_a_package_that_cannot_be_served_leaves_what_served(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open()
    endpoints.deploy(deployment(1, digest))
    endpoints.wait(NAME, 1, timeout_s=60)
    place.empty_packages("0" * 64)
    endpoints.deploy(deployment(2, "0" * 64))
    assert failed(endpoints).live_generation == 1
    with pytest.raises(JobError, match=r"Generation 2 cannot be served: .*no readable|model package"):
        endpoints.wait(NAME, 2, timeout_s=60)
    state = place.open().state(NAME)
    assert (state.status, state.live_generation, state.workers) == ("Failed", 1, 1)
    assert state.message.endswith("(generation 1 goes on serving).")
    assert asked(endpoints)[0] == 1
    # Once by who deployed, once by who waited.
    assert made_calls(place)["UpdateEndpoint"] == 2
    endpoints.deploy(deployment(3, digest, reason="rollback"))
    assert endpoints.wait(NAME, 3, timeout_s=60).live_generation == 3


@pytest.mark.slow
def test_an_alarm_while_traffic_moves_brings_the_earlier_generation_back(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open(traffic={"type": "CANARY", "step_percent": 10, "wait_s": 0, "alarms": ["too-many-5xx"]})
    endpoints.deploy(deployment(1, digest))
    endpoints.wait(NAME, 1, timeout_s=60)
    place.account.expect("alarm")
    endpoints.deploy(deployment(2, digest))
    assert failed(endpoints).live_generation == 1
    assert asked(endpoints)[0] == 1
    assert endpoints.wait(NAME, 2, timeout_s=60).live_generation == 2


def test_an_endpoint_that_does_not_change_is_asked_about_now_and_then(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open(follow_s=60)
    endpoints.deploy(deployment(1, digest))
    endpoints.wait(NAME, 1, timeout_s=60)
    described = place.account.calls.count("DescribeEndpoint")
    assert {endpoints.state(NAME).status for _ in range(5)} == {"InService"}
    assert place.account.calls.count("DescribeEndpoint") == described
    place.account.expect("stuck")
    endpoints.deploy(deployment(2, digest))
    assert endpoints.state(NAME).status == "Updating"


def test_a_gateway_whose_role_may_not_look_shows_the_endpoint_as_unknown(place: SageMakerPlace, digest: str) -> None:
    endpoints = once(place)
    endpoints.deploy(deployment(1, digest))
    place.account.refuse("DescribeEndpoint", "AccessDeniedException", status=403)
    (view,) = endpoint_views(endpoints)
    assert (view.endpoint, view.status) == (NAME, "Unknown")
    assert "answered AccessDeniedException to DescribeEndpoint" in view.message


@pytest.mark.slow
def test_an_endpoint_that_found_no_machine_is_made_anew_by_who_waits_again(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open()
    place.account.expect("capacity")
    endpoints.deploy(deployment(1, digest))
    failed(endpoints)
    place.account.expect("capacity")
    with pytest.raises(JobError, match=r"InsufficientInstanceCapacity.*nothing serves.*start this again") as caught:
        endpoints.wait(NAME, 1, timeout_s=60)
    assert "Deploy another version" in caught.value.next_step
    assert endpoints.state(NAME).status == "Failed"
    assert place.open().wait(NAME, 1, timeout_s=60).live_generation == 1


@pytest.mark.slow
def test_one_that_is_stuck_is_told_as_late_and_goes_on_by_itself(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open()
    place.account.expect("stuck")
    endpoints.deploy(deployment(1, digest))
    with pytest.raises(TimedOutError, match=r"after 0\.2 s: .* is Creating") as caught:
        endpoints.wait(NAME, 1, timeout_s=0.2)
    assert f"/aws/sagemaker/Endpoints/{STEM}" in caught.value.next_step
    place.account.mend()
    assert endpoints.wait(NAME, 1, timeout_s=60).live_generation == 1
    assert made_calls(place)["CreateEndpoint"] == 1


@pytest.mark.parametrize("call", [*(pytest.param(call, marks=pytest.mark.slow) for call in MAKE[:2]), "CreateEndpoint"])
@pytest.mark.parametrize("code", ["ThrottlingException", pytest.param("InternalFailure", marks=pytest.mark.slow)])
def test_a_deploy_that_broke_off_is_gone_on_with_and_nothing_is_made_twice(
    place: SageMakerPlace, digest: str, call: str, code: str
) -> None:
    endpoints = once(place)
    place.account.refuse(call, code, status=500 if code == "InternalFailure" else 400)
    endpoints.deploy(deployment(1, digest))
    assert endpoints.state(NAME).message == (f"SageMaker has no endpoint '{STEM}' yet; generation 1 waits to be made.")
    assert once(place).wait(NAME, 1, timeout_s=60).live_generation == 1
    listed = place.control.list_models()["Models"], place.control.list_endpoint_configs()["EndpointConfigs"]
    assert [len(found) for found in listed] == [1, 1]


@pytest.mark.slow
def test_who_waits_outlasts_a_service_that_is_away(place: SageMakerPlace, digest: str) -> None:
    endpoints = once(place)
    endpoints.deploy(deployment(1, digest))
    place.account.refuse("DescribeEndpoint", "ThrottlingException", times=5)
    assert endpoints.wait(NAME, 1, timeout_s=60).live_generation == 1
    place.account.refuse("DescribeEndpoint", "ThrottlingException", times=99)
    with pytest.raises(ThrottledError, match="answered ThrottlingException to DescribeEndpoint"):
        endpoints.wait(NAME, 1, timeout_s=0.2)


@pytest.mark.slow
def test_a_refusal_names_the_action_and_the_next_step(place: SageMakerPlace, digest: str) -> None:
    told = "User: arn:aws:iam::1:user/u is not authorized to perform: sagemaker:CreateModel on resource: arn:aws:x"
    place.account.refuse("CreateModel", "AccessDeniedException", message=told)
    with pytest.raises(PermissionDeniedError, match="not authorized to perform: sagemaker:CreateModel") as caught:
        place.open().deploy(deployment(1, digest))
    assert "iam:PassRole" in caught.value.next_step
    assert place.open().wait(NAME, 1, timeout_s=60).live_generation == 1


@pytest.mark.slow
def test_a_model_that_went_missing_is_put_again(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open()
    place.account.expect("stuck")
    endpoints.deploy(deployment(1, digest))
    place.store.delete(f"_models/{digest}/model.tar.gz")
    place.account.mend()
    assert "Failed to download model data" in failed(endpoints).message
    assert endpoints.wait(NAME, 1, timeout_s=60).live_generation == 1


@pytest.mark.slow
def test_a_profile_that_changed_is_applied_by_who_waits(place: SageMakerPlace, digest: str) -> None:
    place.open().deploy(deployment(1, digest))
    place.open().wait(NAME, 1, timeout_s=60)
    assert place.open(sizing={"instance_count": 3}).wait(NAME, 1, timeout_s=60).workers == 3
    assert place.open(sizing={"instance_count": 3}).wait(NAME, 1, timeout_s=60).workers == 3
    assert made_calls(place)["UpdateEndpoint"] == 1


@pytest.mark.slow
def test_old_generations_are_swept_and_what_is_removed_is_gone(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open()
    for generation in range(1, 6):
        endpoints.deploy(deployment(generation, digest))
        endpoints.wait(NAME, generation, timeout_s=60)
    models = [m["ModelName"] for m in place.control.list_models()["Models"]]
    assert sorted(generation_of(STEM, name) for name in models) == [3, 4, 5]
    place.store.put(f"{endpoints.captured_prefix(NAME)}main/2026/03/02/09/10-11-123-7e1f.jsonl", b"{}")
    other = replace(deployment(1, "1" * 64), endpoint="fraud/scores")
    place.empty_packages("1" * 64)
    endpoints.deploy(other)
    endpoints.remove(NAME)
    assert [info.key for info in place.store.list("")] == [f"_models/{'1' * 64}/model.tar.gz"]
    endpoints.remove("fraud/scores")
    assert list(place.store.list("")) == []
    for listed in ("list_models", "list_endpoint_configs", "list_endpoints"):
        found = getattr(place.control, listed)()
        assert [v for k, v in found.items() if k != "ResponseMetadata"] == [[]]
    assert endpoints.history(NAME) == []
    assert endpoints.state(NAME).desired is None


@pytest.mark.slow
def test_an_endpoint_is_scaled_by_calls_and_no_longer_when_it_is_gone(place: SageMakerPlace, digest: str) -> None:
    scaling = boto3.client("application-autoscaling", **place.account.client_options)
    endpoints = place.open(scaling={"maximum": 4, "calls_per_minute": 500})
    endpoints.deploy(deployment(1, digest))
    endpoints.wait(NAME, 1, timeout_s=60)
    endpoints.wait(NAME, 1, timeout_s=60)
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["ResourceId"], target["MaxCapacity"]) == (f"endpoint/{STEM}/variant/main", 4)
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 500
    endpoints.remove(NAME)
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


def test_a_gateway_follows_what_is_live(place: SageMakerPlace, digest: str) -> None:
    endpoints, desk = place.open(), place.open().follower()
    endpoints.deploy(deployment(1, digest))
    assert desk.desired() == {NAME: deployment(1, digest)}
    endpoints.wait(NAME, 1, timeout_s=60)
    assert not desk.changed()
    place.account.expect("stuck")
    endpoints.deploy(deployment(2, digest))
    assert not desk.changed()
    assert desk.desired() == {NAME: deployment(1, digest)}
    place.account.mend()
    endpoints.wait(NAME, 2, timeout_s=60)
    assert desk.changed()
    assert desk.desired() == {NAME: deployment(2, digest)}
    described = place.account.calls.count("DescribeEndpoint")
    assert not desk.changed()
    assert place.account.calls.count("DescribeEndpoint") == described


@pytest.mark.slow
def test_calls_are_answered_through_an_update(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open()
    endpoints.deploy(deployment(1, digest))
    endpoints.wait(NAME, 1, timeout_s=60)
    seen: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            seen.append(asked(endpoints)[0])

    caller = threading.Thread(target=ask)
    caller.start()
    endpoints.deploy(deployment(2, digest))
    endpoints.wait(NAME, 2, timeout_s=60)
    after = len(seen)
    while len(seen) < after + 3:
        assert caller.is_alive()
    stop.set()
    caller.join()
    assert seen == sorted(seen)
    assert set(seen) == {1, 2}


def test_what_a_call_meets_is_told_to_its_caller(place: SageMakerPlace, digest: str) -> None:
    endpoints = once(place)
    with pytest.raises(UnavailableError, match=f"Endpoint '{NAME}' cannot be asked now"):
        endpoints.invoke(NAME, BODY, request_id="req-1")
    endpoints.deploy(deployment(1, digest))
    endpoints.wait(NAME, 1, timeout_s=60)
    with pytest.raises(DataError, match=r"Row 1.*change.*expected a number"):
        endpoints.invoke(NAME, json.dumps({**ROW, "change": "x"}).encode(), request_id="req-1")
    with pytest.raises(DataError, match="at most 6291456 bytes of JSON, found 6291457"):
        endpoints.invoke(NAME, b"x" * 6_291_457, request_id="req-1")
    for code, status, kind in (
        ("ThrottlingException", 400, ThrottledError),
        ("ModelNotReadyException", 429, UnavailableError),
        ("ServiceUnavailable", 503, UnavailableError),
        ("InternalDependencyException", 530, UnavailableError),
        ("AccessDeniedException", 403, UnavailableError),
    ):
        place.account.refuse("InvokeEndpoint", code, status=status, times=2)
        with pytest.raises(kind):
            endpoints.invoke(NAME, BODY, request_id="req-1")
        place.account.mend()
    place.account.refuse("InvokeEndpoint", "ServiceUnavailable", status=503)
    assert asked(place.open())[0] == 1
    first, second = (json.loads(endpoints.invoke(NAME, BODY, request_id=i * 100).body) for i in ("a", "a"))
    assert first == second


def test_what_sagemaker_would_capture_unmasked_is_refused(place: SageMakerPlace, digest: str) -> None:
    settings = spec(capture={"mask": ["ticker_symbol"], "drop": ["change"]}).model_dump(mode="json")
    endpoints = place.open(capture={})
    with pytest.raises(ProfileError, match="masks or drops ticker_symbol, change in what is captured"):
        endpoints.deploy(replace(deployment(1, digest), settings=settings))
    assert endpoints.desired(NAME) is None


def test_an_object_store_that_sagemaker_cannot_read_is_refused(place: SageMakerPlace, digest: str) -> None:
    from mlplatform.adapters.object_store.directory import DirectoryObjectStore

    found = place.open()
    endpoints = SageMakerEndpoints(
        found.settings,
        found.records._items,
        DirectoryObjectStore(place.root / "objects"),
        place.package,
        options=place.account.client_options,
    )
    with pytest.raises(ProfileError, match="SageMaker reads models from S3"):
        endpoints.deploy(deployment(1, digest))
