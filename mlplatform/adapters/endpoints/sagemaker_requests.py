"""Requests to SageMaker, made of a deployment record and the settings; nothing here asks anybody."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlplatform.adapters.endpoints.sagemaker_names import endpoint_name, part_name
from mlplatform.adapters.endpoints.sagemaker_settings import AsyncCalls, SageMakerEndpointSettings, Scaling, Traffic
from mlplatform.core.rollout.variables import as_variables
from mlplatform.ports.endpoints import Deployment

VARIANT = "main"
SCALED = "sagemaker:variant:DesiredInstanceCount"
OWNER, ENDPOINT = "mlplatform", "mlplatform:endpoint"
"""Tags of an endpoint: whose it is, by the address of the installation's object store, and which of its endpoints."""

Request = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What SageMaker is asked for one generation of one endpoint: model, configuration, endpoint."""

    name: str
    model: Request
    config: Request
    create: Request
    update: Request


def plan(
    deployment: Deployment, artifact: str, captured: str, settings: SageMakerEndpointSettings, *, owner: str
) -> Plan:
    """`artifact`: the package's ``s3://…/model.tar.gz``; `captured`: the ``s3://`` place of what SageMaker captures; `owner`:
    the address of this installation's objects."""
    name = endpoint_name(settings.name_prefix, deployment.endpoint)
    model = _model(deployment, artifact, settings)
    model = {"ModelName": part_name(name, deployment.generation, model), **model}
    config = _config(deployment, model["ModelName"], captured, settings)
    config = {"EndpointConfigName": part_name(name, deployment.generation, config), **config}
    both = {"EndpointName": name, "EndpointConfigName": config["EndpointConfigName"]}
    create = {**both, "Tags": _tags(deployment.endpoint, settings, {OWNER: owner})}
    return Plan(name, model, config, create, {**both, **_update(settings)})


def _model(deployment: Deployment, artifact: str, settings: SageMakerEndpointSettings) -> Request:
    record = json.dumps(deployment.to_json(), sort_keys=True, separators=(",", ":"))
    request: Request = {
        "PrimaryContainer": {
            "Image": settings.image,
            "ModelDataUrl": artifact,
            "Environment": {**settings.environment, **as_variables(record)},
        },
        "ExecutionRoleArn": settings.role_arn,
        "EnableNetworkIsolation": settings.isolated,
        "Tags": _tags(deployment.endpoint, settings),
    }
    if settings.vpc is not None:
        request["VpcConfig"] = {"Subnets": settings.vpc.subnets, "SecurityGroupIds": settings.vpc.security_groups}
    return request


def _config(deployment: Deployment, model: str, captured: str, settings: SageMakerEndpointSettings) -> Request:
    size = settings.size_of(deployment.endpoint)
    request: Request = {
        "ProductionVariants": [
            {
                "VariantName": VARIANT,
                "ModelName": model,
                "InstanceType": size.instance_type,
                "InitialInstanceCount": size.instance_count,
                "InitialVariantWeight": 1.0,
                "ModelDataDownloadTimeoutInSeconds": settings.start_s,
                "ContainerStartupHealthCheckTimeoutInSeconds": settings.start_s,
            }
        ],
        "Tags": _tags(deployment.endpoint, settings),
    }
    percent = _captured_percent(deployment, settings)
    if percent:
        request["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": percent,
            "DestinationS3Uri": captured,
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            # What is not named here is captured as base64.
            "CaptureContentTypeHeader": {
                "CsvContentTypes": ["text/csv"],
                "JsonContentTypes": ["application/json"],
            },
            **({"KmsKeyId": settings.kms_key} if settings.kms_key else {}),
        }
    if settings.asynchronous is not None:
        request["AsyncInferenceConfig"] = _asynchronous(settings.asynchronous, settings.kms_key)
    if settings.kms_key is not None:
        request["KmsKeyId"] = settings.kms_key
    return request


def _captured_percent(deployment: Deployment, settings: SageMakerEndpointSettings) -> int:
    """Share of calls that SageMaker captures: of the endpoint's own sample, the settings' part."""
    if settings.capture is None:
        return 0
    sample = float(deployment.settings.get("capture", {}).get("sample", 1.0))
    return math.ceil(sample * settings.capture.percent)


def _asynchronous(wanted: AsyncCalls, kms_key: str | None) -> Request:
    topics = {"SuccessTopic": wanted.success_topic, "ErrorTopic": wanted.error_topic}
    told = {name: topic for name, topic in topics.items() if topic}
    request: Request = {
        "OutputConfig": {
            "S3OutputPath": wanted.output,
            **({"S3FailurePath": wanted.failures} if wanted.failures else {}),
            **({"NotificationConfig": told} if told else {}),
            **({"KmsKeyId": kms_key} if kms_key else {}),
        }
    }
    if wanted.at_once is not None:
        request["ClientConfig"] = {"MaxConcurrentInvocationsPerInstance": wanted.at_once}
    return request


def _update(settings: SageMakerEndpointSettings) -> Request:
    """How an endpoint is brought to another configuration. Instances that were scaled are not taken back.

    What is captured is the new configuration's to say: SageMaker would retain that too.
    """
    request: Request = {"DeploymentConfig": _deployment(settings.traffic)}
    if settings.scaling is not None:
        request["RetainAllVariantProperties"] = True
        request["ExcludeRetainedVariantProperties"] = [{"VariantPropertyType": "DataCaptureConfig"}]
    return request


def _deployment(traffic: Traffic) -> Request:
    routing: Request = {
        "Type": traffic.type,
        "WaitIntervalInSeconds": traffic.wait_s if traffic.type != "ALL_AT_ONCE" or traffic.alarms else 0,
    }
    size = {"Type": "CAPACITY_PERCENT", "Value": traffic.step_percent}
    if traffic.type == "CANARY":
        routing["CanarySize"] = size
    elif traffic.type == "LINEAR":
        routing["LinearStepSize"] = size
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": traffic.keep_old_s}
    alarms = [{"AlarmName": name} for name in traffic.alarms]
    rollback = {"AutoRollbackConfiguration": {"Alarms": alarms}} if alarms else {}
    return {"BlueGreenUpdatePolicy": policy, **rollback}


def scaling_requests(name: str, scaling: Scaling) -> tuple[Request, Request]:
    """What Application Auto Scaling is asked for the endpoint called `name`: target and policy."""
    target: Request = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{VARIANT}",
        "ScalableDimension": SCALED,
    }
    policy: Request = {
        **target,
        "PolicyName": f"{name}-calls",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": scaling.calls_per_minute,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            "ScaleInCooldown": scaling.scale_in_s,
            "ScaleOutCooldown": scaling.scale_out_s,
        },
    }
    return {**target, "MinCapacity": scaling.minimum, "MaxCapacity": scaling.maximum}, policy


def _tags(
    endpoint: str, settings: SageMakerEndpointSettings, more: Mapping[str, str] | None = None
) -> list[Mapping[str, str]]:
    tags = {**settings.tags, ENDPOINT: endpoint, **(more or {})}
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]
