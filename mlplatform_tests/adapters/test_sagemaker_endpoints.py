"""Endpoints on SageMaker beyond the suite of the port: what comes into service, and what follows it."""

from __future__ import annotations

import threading
from dataclasses import replace

import boto3
import pytest

from mlplatform.adapters.endpoints.sagemaker_names import generation_of
from mlplatform.cli.deployed import deployed
from mlplatform.ports.endpoints import SelfServed, SelfServing
from mlplatform_tests.adapters.sagemaker_deployments import (
    NAME,
    STEM,
    asked,
    deployment,
    digest,
    failed,
    made,
    made_calls,
    place,
)
from mlplatform_tests.conformance.endpoint_places import SageMakerPlace, sagemaker_place
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server
from mlplatform_tests.serving.until import until

__all__ = ["digest", "made", "ministack_server", "place", "sagemaker_place", "sagemaker_server"]


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


def test_an_endpoint_whose_scaling_was_taken_out_is_scaled_no_longer(place: SageMakerPlace, digest: str) -> None:
    scaling = boto3.client("application-autoscaling", **place.account.client_options)
    scaled, after = place.open(scaling={"maximum": 4, "calls_per_minute": 500}), place.open()
    scaled.deploy(deployment(1, digest))
    scaled.wait(NAME, 1, timeout_s=60)
    # Who may not ask is not kept from deploying by it.
    place.account.refuse("DeregisterScalableTarget", "AccessDeniedException", status=403)
    after.wait(NAME, 1, timeout_s=60)
    assert len(scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]) == 1
    after.deploy(deployment(2, digest))
    after.wait(NAME, 2, timeout_s=60)
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


def test_what_was_deployed_while_another_was_on_its_way_is_asked_for_without_a_run_that_waits(
    place: SageMakerPlace, digest: str
) -> None:
    endpoints, worker = place.open(), place.open(scaling={"maximum": 4, "calls_per_minute": 500})
    place.account.expect("stuck")
    endpoints.deploy(deployment(1, digest))
    endpoints.deploy(deployment(2, digest, reason="rollback"))
    assert made_calls(place)["UpdateEndpoint"] == 0
    told = deployed(endpoints, deployment(2, digest))
    assert told.startswith(f"Generation 2 of {NAME} is to serve version 2, and does not yet: SageMaker's endpoint")
    place.account.mend()

    def live() -> bool:
        worker.advance(NAME)
        return endpoints.state(NAME).live_generation == 2

    until(live, timeout_s=60)
    worker.advance(NAME)
    scaling = boto3.client("application-autoscaling", **place.account.client_options)
    assert len(scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]) == 1
    assert deployed(endpoints, deployment(2, digest)) == f"Generation 2 of {NAME} serves version 2."
    asked_before = len(place.account.calls)
    worker.advance(NAME)
    assert len(place.account.calls) == asked_before
    assert made_calls(place)["UpdateEndpoint"] == 1


def test_what_cannot_be_served_is_not_asked_for_again_and_again(place: SageMakerPlace, digest: str) -> None:
    endpoints = place.open()
    endpoints.deploy(deployment(1, digest))
    endpoints.wait(NAME, 1, timeout_s=60)
    place.empty_packages("0" * 64)
    endpoints.deploy(deployment(2, "0" * 64))
    failed(endpoints)
    for _ in range(3):
        place.open().advance(NAME)
    assert endpoints.state(NAME).status == "Failed"
    assert made_calls(place)["UpdateEndpoint"] == 1


def test_a_changed_profile_waits_for_a_deployment(place: SageMakerPlace, digest: str) -> None:
    place.open().deploy(deployment(1, digest))
    place.open().wait(NAME, 1, timeout_s=60)
    place.open(sizing={"instance_count": 3}).advance(NAME)
    assert made_calls(place)["UpdateEndpoint"] == 0
