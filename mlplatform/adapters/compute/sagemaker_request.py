"""A job as CreateTrainingJob's request: a pure function of the job, the settings and where the objects lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlplatform.adapters.compute.sagemaker_settings import CONTAINER, SageMakerComputeSettings
from mlplatform.errors import ProfileError
from mlplatform.ports.compute import Channel, JobSpec

OWNER = "mlplatform"
"""Tag of every job of ours: whose object store its artifacts are in."""
CHECKPOINTS = "/opt/ml/checkpoints"


def image_of(container: str, settings: SageMakerComputeSettings) -> str:
    """The image's URI. Raises ProfileError where the settings say none."""
    found = settings.images.get(container) or settings.image.replace(CONTAINER, container)
    if not found:
        raise ProfileError(
            f"No image is known for container '{container}'.",
            next_step=f"Set image (with {CONTAINER} in it) or images.{container} of the compute connection.",
        )
    return found


def training_request(
    job: JobSpec,
    settings: SageMakerComputeSettings,
    *,
    url: Callable[[str], str],
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The request. `url`: the ``s3://`` address of a key or prefix; `environment`: variables beside the job's own."""
    stopping: dict[str, Any] = {"MaxRuntimeInSeconds": job.timeout_s}
    if settings.spot:
        stopping["MaxWaitTimeInSeconds"] = job.timeout_s + settings.spot_wait_s
    variables = {**settings.environment, **(environment or {}), **job.environment}
    request: dict[str, Any] = {
        "TrainingJobName": job.name,
        "AlgorithmSpecification": _algorithm(job, settings),
        "RoleArn": settings.role_arn,
        "HyperParameters": dict(job.hyperparameters),
        "InputDataConfig": [_channel(channel, url) for channel in job.channels],
        "OutputDataConfig": {
            "S3OutputPath": url(job.output_prefix).rstrip("/"),
            **({"KmsKeyId": settings.kms_key} if settings.kms_key else {}),
        },
        "ResourceConfig": _resources(job, settings),
        "StoppingCondition": stopping,
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags_of(job, settings, url).items())],
        "EnableManagedSpotTraining": settings.spot,
        "EnableNetworkIsolation": settings.network_isolation,
        "EnableInterContainerTrafficEncryption": settings.encrypt_traffic,
    }
    if variables:
        request["Environment"] = variables
    if job.checkpoint_prefix:
        request["CheckpointConfig"] = {"S3Uri": url(job.checkpoint_prefix), "LocalPath": CHECKPOINTS}
    if settings.subnets:
        request["VpcConfig"] = {"Subnets": settings.subnets, "SecurityGroupIds": settings.security_groups}
    if settings.retries:
        request["RetryStrategy"] = {"MaximumRetryAttempts": settings.retries}
    # No channel is none, not an empty list.
    return {key: value for key, value in request.items() if value != []}


def tags_of(job: JobSpec, settings: SageMakerComputeSettings, url: Callable[[str], str]) -> dict[str, str]:
    """The job's tags, the owner's among them."""
    return {**settings.tags, **job.tags, OWNER: url("")}


def _algorithm(job: JobSpec, settings: SageMakerComputeSettings) -> dict[str, Any]:
    metrics = [{"Name": name, "Regex": regex} for name, regex in sorted(settings.metrics.items())]
    return {
        "TrainingImage": image_of(job.container, settings),
        "TrainingInputMode": "File",
        **({"MetricDefinitions": metrics} if metrics else {}),
    }


def _resources(job: JobSpec, settings: SageMakerComputeSettings) -> dict[str, Any]:
    return {
        "InstanceType": settings.instance_types.get(job.container, settings.instance_type),
        "InstanceCount": job.hosts,
        "VolumeSizeInGB": settings.volume_gib,
        **({"VolumeKmsKeyId": settings.volume_kms_key} if settings.volume_kms_key else {}),
        **({"KeepAlivePeriodInSeconds": settings.keep_alive_s} if settings.keep_alive_s else {}),
    }


def _channel(channel: Channel, url: Callable[[str], str]) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": url(channel.prefix),
        "S3DataDistributionType": channel.distribution,
    }
    return {
        "ChannelName": channel.name,
        "ContentType": channel.content_type,
        "InputMode": "File",
        "CompressionType": "None",
        "RecordWrapperType": "None",
        "DataSource": {"S3DataSource": source},
    }
