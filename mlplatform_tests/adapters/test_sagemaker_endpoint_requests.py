"""What SageMaker is asked for an endpoint: golden requests, which its own service model takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.validate import ParamValidator

from mlplatform.adapters.endpoints.sagemaker_names import endpoint_name, generation_of, part_name
from mlplatform.adapters.endpoints.sagemaker_requests import Plan, plan, scaling_requests
from mlplatform.adapters.endpoints.sagemaker_settings import SageMakerEndpointSettings
from mlplatform.core.rollout.variables import of_variables
from mlplatform.ports.endpoints import Deployment
from mlplatform_tests.servers.aws_protocol.shapes import check, operation_of

ROLE, IMAGE = "arn:aws:iam::000000000000:role/serving", "000000000000.dkr.ecr.us-east-1.amazonaws.com/serve:1"
ARTIFACT = "s3://lake/_models/abc/model.tar.gz"
DEPLOYMENT = Deployment(
    endpoint="stock_prices/prices",
    generation=7,
    model="stock_prices.stock_model",
    version=3,
    digest="ab" * 32,
    reason="refresh",
    run_id="run-1",
    created_at="2026-01-02T03:04:05+00:00",
    settings={"name": "prices", "model": "stock_model", "description": "x" * 2000},
)


def settings(**more: Any) -> SageMakerEndpointSettings:
    return SageMakerEndpointSettings.model_validate({"role_arn": ROLE, "image": IMAGE, **more})


def planned(**more: Any) -> Plan:
    """The plan under settings, each of whose requests SageMaker takes."""
    found = plan(DEPLOYMENT, ARTIFACT, "s3://lake/_captured", settings(**more), owner="s3://lake/")
    for operation, request in (
        ("CreateModel", found.model),
        ("CreateEndpointConfig", found.config),
        ("CreateEndpoint", found.create),
        ("UpdateEndpoint", found.update),
    ):
        check(operation_of("sagemaker", operation).input_shape, request, operation)
    return found


def test_the_least_that_is_asked() -> None:
    found = planned()
    tags = [{"Key": "mlplatform:endpoint", "Value": "stock_prices/prices"}]
    name = "mlplatform-stock-prices-prices-4b1369"
    environment = found.model["PrimaryContainer"].pop("Environment")
    assert found.name == name
    assert found.model == {
        "ModelName": f"{name}-g7-00651bd6",
        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": ARTIFACT},
        "ExecutionRoleArn": ROLE,
        "EnableNetworkIsolation": False,
        "Tags": tags,
    }
    assert json.loads(of_variables(environment)) == DEPLOYMENT.to_json()
    assert max(len(value) for value in environment.values()) == 1000
    assert found.config == {
        "EndpointConfigName": f"{name}-g7-26cf5897",
        "ProductionVariants": [
            {
                "VariantName": "main",
                "ModelName": f"{name}-g7-00651bd6",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
                "InitialVariantWeight": 1.0,
                "ModelDataDownloadTimeoutInSeconds": 600,
                "ContainerStartupHealthCheckTimeoutInSeconds": 600,
            }
        ],
        "Tags": tags,
    }
    both = {"EndpointName": name, "EndpointConfigName": f"{name}-g7-26cf5897"}
    assert found.create == {**both, "Tags": [{"Key": "mlplatform", "Value": "s3://lake/"}, *tags]}
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 0}
    assert found.update == {**both, "DeploymentConfig": {"BlueGreenUpdatePolicy": policy}}


def test_all_that_can_be_asked() -> None:
    found = planned(
        sizes={"stock_prices/prices": {"instance_type": "ml.c5.xlarge", "instance_count": 2}},
        scaling={"minimum": 2, "maximum": 8, "calls_per_minute": 600},
        traffic={"type": "CANARY", "step_percent": 5, "wait_s": 60, "keep_old_s": 30, "alarms": ["too-many-5xx"]},
        capture={"percent": 50},
        asynchronous={
            "output": "s3://lake/answers",
            "failures": "s3://lake/failures",
            "at_once": 4,
            "success_topic": "arn:aws:sns:us-east-1:000000000000:done",
        },
        vpc={"subnets": ["subnet-1"], "security_groups": ["sg-1"]},
        kms_key="key-1",
        isolated=True,
        environment={"LEVEL": "info"},
        tags={"team": "data"},
    )
    assert found.model["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert found.model["EnableNetworkIsolation"] is True
    assert found.model["PrimaryContainer"]["Environment"]["LEVEL"] == "info"
    assert found.model["Tags"][1] == {"Key": "team", "Value": "data"}
    variant = found.config["ProductionVariants"][0]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.c5.xlarge", 2)
    assert found.config["DataCaptureConfig"] == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 50,
        "DestinationS3Uri": "s3://lake/_captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
        "KmsKeyId": "key-1",
    }
    assert found.config["AsyncInferenceConfig"] == {
        "OutputConfig": {
            "S3OutputPath": "s3://lake/answers",
            "S3FailurePath": "s3://lake/failures",
            "NotificationConfig": {"SuccessTopic": "arn:aws:sns:us-east-1:000000000000:done"},
            "KmsKeyId": "key-1",
        },
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4},
    }
    assert found.config["KmsKeyId"] == "key-1"
    assert found.update["RetainAllVariantProperties"] is True
    assert found.update["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DataCaptureConfig"}]
    assert found.update["DeploymentConfig"] == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 60,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 5},
            },
            "TerminationWaitInSeconds": 30,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "too-many-5xx"}]},
    }


def test_traffic_in_steps() -> None:
    policy = planned(traffic={"type": "LINEAR", "step_percent": 25, "wait_s": 120}).update["DeploymentConfig"]
    assert policy["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"] == {
        "Type": "LINEAR",
        "WaitIntervalInSeconds": 120,
        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
    }


def test_a_scaling_policy_by_calls_a_minute() -> None:
    scaling = settings(scaling={"maximum": 4, "calls_per_minute": 500}).scaling
    assert scaling is not None
    target, policy = scaling_requests("mlplatform-prices-1a2b3c", scaling)
    for operation, request in (("RegisterScalableTarget", target), ("PutScalingPolicy", policy)):
        shape = operation_of("application-autoscaling", operation).input_shape
        assert ParamValidator().validate(request, shape).generate_report() == ""
    assert target["ResourceId"] == policy["ResourceId"] == "endpoint/mlplatform-prices-1a2b3c/variant/main"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 500


def test_the_same_request_has_the_same_name_and_another_another() -> None:
    assert planned().config == planned().config
    assert planned(isolated=True).model["ModelName"] != planned().model["ModelName"]
    assert planned(isolated=True).config["EndpointConfigName"] != planned().config["EndpointConfigName"]


@pytest.mark.parametrize("pair", [("a_b/c", "a/b_c"), ("a/b", "a_/b"), ("a" * 60 + "/b", "a" * 60 + "/c")])
def test_endpoints_that_look_alike_have_names_of_their_own(pair: tuple[str, str]) -> None:
    first, second = (endpoint_name("fifteen-letters", name) for name in pair)
    assert first != second
    for name in (first, part_name(first, 999_999_999, {})):
        check(operation_of("sagemaker", "DescribeEndpoint").input_shape, {"EndpointName": name}, "name")


def test_a_configuration_tells_its_generation() -> None:
    found = planned()
    assert generation_of(found.name, found.config["EndpointConfigName"]) == 7
    assert generation_of(found.name, "somebody-elses") == 0
    assert generation_of(found.name, f"{found.name}-g7") == 0
    assert generation_of("another", found.config["EndpointConfigName"]) == 0
