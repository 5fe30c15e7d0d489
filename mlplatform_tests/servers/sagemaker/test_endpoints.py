"""Models, configurations and endpoints on the stand-in, as boto3 asks for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mlplatform_tests.servers.sagemaker.serving import ROLE, Serving


def asked(serving: Serving, body: str = "x", **more: Any) -> dict[str, Any]:
    answer = serving.runtime.invoke_endpoint(EndpointName="echo", Body=body, **more)
    return {**json.loads(answer["Body"].read()), "variant": answer["InvokedProductionVariant"]}


def test_an_endpoint_comes_into_service_and_answers(serving: Serving) -> None:
    found = serving.served({"first": 1.0})
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "echo-1")
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    answer = asked(serving, "hello", ContentType="text/csv", InferenceId="id-1")
    assert (answer["model"], answer["body"], answer["variant"]) == ("first", "hello", "first")
    assert answer["headers"] == {"x-amzn-sagemaker-inference-id": "id-1"}


def test_an_update_answers_without_a_break(serving: Serving) -> None:
    serving.served({"first": 1.0})
    serving.model("second", "second")
    serving.config("echo-2", {"second": 1.0})
    serving.control.update_endpoint(EndpointName="echo", EndpointConfigName="echo-2")
    during = serving.control.describe_endpoint(EndpointName="echo")
    assert (during["EndpointStatus"], during["EndpointConfigName"]) == ("Updating", "echo-1")
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == "echo-2"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        serving.control.update_endpoint(EndpointName="echo", EndpointConfigName="echo-1")
    seen = [asked(serving)["model"]]
    while seen[-1] == "first":
        seen.append(asked(serving)["model"])
    assert (set(seen), seen[-1]) == ({"first", "second"}, "second")
    after = serving.settled()
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", "echo-2")


@pytest.mark.parametrize(
    "how", ["a broken model", *(pytest.param(how, marks=pytest.mark.slow) for how in ("no machine", "an alarm"))]
)
def test_an_update_that_fails_leaves_what_served(serving: Serving, how: str) -> None:
    serving.served({"first": 1.0})
    serving.model("second", "broken" if how == "a broken model" else "second")
    serving.config("echo-2", {"second": 1.0})
    deployment: dict[str, Any] = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE"}}}
    deployment["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"] = 0
    if how == "no machine":
        serving.account.expect("capacity")
    if how == "an alarm":
        serving.account.expect("alarm")
        deployment["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": "errors"}]}
    serving.control.update_endpoint(EndpointName="echo", EndpointConfigName="echo-2", DeploymentConfig=deployment)
    found = serving.settled()
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "echo-1")
    told = {"a broken model": "the model is broken", "no machine": "InsufficientInstanceCapacity", "an alarm": "alarms"}
    assert told[how] in found["FailureReason"]
    assert asked(serving)["model"] == "first"


def test_an_endpoint_that_cannot_be_made_says_why_and_can_only_be_deleted(serving: Serving) -> None:
    serving.account.expect("capacity")
    found = serving.served({"first": 1.0})
    assert found["EndpointStatus"] == "Failed"
    assert "InsufficientInstanceCapacity" in found["FailureReason"]
    with pytest.raises(ClientError, match="Cannot update failed endpoint"):
        serving.control.update_endpoint(EndpointName="echo", EndpointConfigName="echo-1")
    with pytest.raises(ClientError, match=r"ValidationError.*not found"):
        asked(serving)
    serving.control.delete_endpoint(EndpointName="echo")


def test_nothing_is_made_of_what_is_missing_or_there_already(serving: Serving) -> None:
    serving.served({"first": 1.0})
    container = {"Image": "111122223333.dkr.ecr.us-east-1.amazonaws.com/echo:1", "ModelDataUrl": "s3://none/x"}
    with pytest.raises(ClientError, match=r"Could not find model data at s3://none/x"):
        serving.control.create_model(ModelName="x", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    with pytest.raises(ClientError, match="Could not find model"):
        serving.config("x", {"absent": 1.0})
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        serving.control.create_endpoint(EndpointName="x", EndpointConfigName="x")
    with pytest.raises(ClientError, match="already existing model"):
        serving.model("first", "first")
    with pytest.raises(ClientError, match="already existing endpoint configuration"):
        serving.config("echo-1", {"first": 1.0})
    with pytest.raises(ClientError, match="already existing endpoint"):
        serving.control.create_endpoint(EndpointName="echo", EndpointConfigName="echo-1")
    with pytest.raises(ClientError, match="Could not find endpoint"):
        serving.control.describe_endpoint(EndpointName="x")


def test_what_was_made_is_listed_described_and_deleted(serving: Serving) -> None:
    serving.served({"first": 1.0})
    assert [m["ModelName"] for m in serving.control.list_models(NameContains="fir")["Models"]] == ["first"]
    configs = serving.control.list_endpoint_configs()["EndpointConfigs"]
    assert [c["EndpointConfigName"] for c in configs] == ["echo-1"]
    listed = serving.control.list_endpoints(StatusEquals="InService")["Endpoints"]
    assert [e["EndpointName"] for e in listed] == ["echo"]
    described = serving.control.describe_model(ModelName="first")
    assert described["PrimaryContainer"]["ModelDataUrl"] == f"s3://{serving.bucket}/first/model.tar.gz"
    described = serving.control.describe_endpoint_config(EndpointConfigName="echo-1")
    assert described["ProductionVariants"][0]["ModelName"] == "first"
    serving.control.delete_endpoint(EndpointName="echo")
    serving.control.delete_endpoint_config(EndpointConfigName="echo-1")
    serving.control.delete_model(ModelName="first")
    assert serving.control.list_models()["Models"] == []
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        serving.control.describe_endpoint_config(EndpointConfigName="echo-1")


def test_calls_are_shared_by_weight_and_a_variant_can_be_named(serving: Serving) -> None:
    serving.served({"first": 1.0, "second": 1.0})
    assert {asked(serving)["model"] for _ in range(40)} == {"first", "second"}
    assert asked(serving, TargetVariant="second")["variant"] == "second"
    with pytest.raises(ClientError, match="Variant third not found"):
        asked(serving, TargetVariant="third")
    weights = [{"VariantName": "first", "DesiredWeight": 0.0}]
    serving.control.update_endpoint_weights_and_capacities(EndpointName="echo", DesiredWeightsAndCapacities=weights)
    assert {asked(serving)["model"] for _ in range(20)} == {"second"}
    variants = serving.settled()["ProductionVariants"]
    assert [(v["VariantName"], v["CurrentWeight"]) for v in variants] == [("first", 0.0), ("second", 1.0)]
