"""Endpoints on SageMaker when something is wrong: what is told, what goes on serving, and what is asked for again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mlplatform.adapters.endpoints.sagemaker import SageMakerEndpoints
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
from mlplatform_tests.adapters.sagemaker_deployments import (
    BODY,
    MAKE,
    NAME,
    STEM,
    asked,
    deployment,
    digest,
    failed,
    made,
    made_calls,
    once,
    place,
)
from mlplatform_tests.conformance.endpoint_places import SageMakerPlace, sagemaker_place
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.gateway.site import ROW, spec
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server

__all__ = ["digest", "made", "ministack_server", "place", "sagemaker_place", "sagemaker_server"]


def test_a_package_that_cannot_be_served_leaves_what_served(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open()
    endpoints.deploy(deployment(1, digest))
    endpoints.wait(NAME, 1, timeout_s=60)
    place.empty_packages("0" * 64)
    endpoints.deploy(deployment(2, "0" * 64))
    assert failed(endpoints).live_generation == 1
    with pytest.raises(JobError, match=r"Generation 2 cannot be served: [\s\S]*model package"):
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
