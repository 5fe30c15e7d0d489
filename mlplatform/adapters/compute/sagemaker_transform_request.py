"""A transform as SageMaker's requests: CreateModel of the package, and CreateTransformJob.

(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html.) Records are lines; SageMaker joins each with its answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mlplatform.adapters.compute.sagemaker_request import image_of, tags_of
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.core.rollout.variables import as_variables
from mlplatform.ports.compute import JobSpec
from mlplatform.ports.endpoints import Deployment
from mlplatform.ports.transform import TransformSpec

SERVE = "serve"
"""The container that serves packages."""
LINES = "application/jsonlines"
PAYLOAD_MIB = 6
RETRIES = 3


def model_request(transform: TransformSpec, settings: SageMakerComputeSettings, *, artifact: str) -> dict[str, Any]:
    """The model that the job asks; it is the job's own. `artifact`: the package's ``s3://…/model.tar.gz``."""
    # A body has as many rows as fit; SageMaker bounds it.
    name = transform.model.rpartition(".")[2]
    limits = {"max_rows": 10_000_000, "max_body_kib": (PAYLOAD_MIB + 1) * 1024}
    record = Deployment(
        endpoint=transform.model.replace(".", "/"),
        generation=1,
        model=transform.model,
        version=transform.version,
        digest=transform.digest,
        reason=f"transform {transform.name}",
        run_id="",
        created_at="",
        settings={"name": name, "model": name, "keys": list(transform.keys), **limits},
    )
    text = json.dumps(record.to_json(), sort_keys=True, separators=(",", ":"))
    request: dict[str, Any] = {
        "ModelName": transform.name,
        "PrimaryContainer": {
            "Image": image_of(SERVE, settings),
            "ModelDataUrl": artifact,
            "Environment": {**settings.environment, **as_variables(text)},
        },
        "ExecutionRoleArn": settings.role_arn,
        "EnableNetworkIsolation": settings.network_isolation,
    }
    if settings.subnets:
        request["VpcConfig"] = {"Subnets": settings.subnets, "SecurityGroupIds": settings.security_groups}
    return request


def transform_request(
    transform: TransformSpec, settings: SageMakerComputeSettings, *, url: Callable[[str], str]
) -> dict[str, Any]:
    """The job. `url`: the ``s3://`` address of a key or prefix."""
    tagged = replace(JobSpec(transform.name, SERVE, {}, (), ""), tags=transform.tags)
    source = {"S3DataType": "S3Prefix", "S3Uri": url(transform.input_prefix)}
    return {
        "TransformJobName": transform.name,
        "ModelName": transform.name,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": PAYLOAD_MIB,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 600, "InvocationsMaxRetries": RETRIES},
        "TransformInput": {
            "DataSource": {"S3DataSource": source},
            "ContentType": LINES,
            "CompressionType": "None",
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": url(transform.output_prefix).rstrip("/"),
            "Accept": LINES,
            "AssembleWith": "Line",
            **({"KmsKeyId": settings.kms_key} if settings.kms_key else {}),
        },
        "TransformResources": {
            "InstanceType": settings.instance_types.get(SERVE, settings.instance_type),
            "InstanceCount": 1,
            **({"VolumeKmsKeyId": settings.volume_kms_key} if settings.volume_kms_key else {}),
        },
        "DataProcessing": {"JoinSource": "Input"},
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags_of(tagged, settings, url).items())],
    }


def transform_as_training(described: Mapping[str, Any]) -> dict[str, Any]:
    """A transform job as if it were a training job: what lists of running jobs ask of one."""
    status = described["TransformJobStatus"]
    return {
        "TrainingJobName": described["TransformJobName"],
        "TrainingJobStatus": status,
        "SecondaryStatus": "Transforming" if status == "InProgress" else status,
        "CreationTime": described["CreationTime"],
        "ResourceConfig": described["TransformResources"],
        "Tags": described.get("Tags", []),
    }
