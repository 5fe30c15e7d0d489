"""Jobs of the contract that are no training, as SageMaker's processing jobs: request, result, and the job in training's words.

(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateProcessingJob.html.) The image's own entrypoint is the command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from mlplatform.adapters.compute.processing_files import ROOT, folder_variables, outputs_prefix
from mlplatform.adapters.compute.sagemaker_errors import processing_failure_of
from mlplatform.adapters.compute.sagemaker_jobs import PROCESSING
from mlplatform.adapters.compute.sagemaker_local import LocalCopies
from mlplatform.adapters.compute.sagemaker_request import image_of, tags_of
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.ports.compute import JobResult, JobSpec


def processing_request(
    job: JobSpec,
    settings: SageMakerComputeSettings,
    *,
    url: Callable[[str], str],
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The request. `url`: the ``s3://`` address of a key or prefix; `environment`: variables beside the job's own."""
    variables = {**settings.environment, **(environment or {}), **folder_variables(job), **job.environment}
    request: dict[str, Any] = {
        "ProcessingJobName": job.name,
        "AppSpecification": {
            "ImageUri": image_of(job.container, settings),
            **({"ContainerArguments": list(job.arguments)} if job.arguments else {}),
        },
        "RoleArn": settings.role_arn,
        "ProcessingInputs": [
            {
                "InputName": channel.name,
                "S3Input": {
                    "S3Uri": url(channel.prefix),
                    "LocalPath": f"{ROOT}/input/{channel.name}",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                    "S3DataDistributionType": channel.distribution,
                    "S3CompressionType": "None",
                },
            }
            for channel in job.channels
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": name,
                    "S3Output": {
                        "S3Uri": url(f"{outputs_prefix(job)}{name}"),
                        "LocalPath": f"{ROOT}/output/{name}",
                        "S3UploadMode": "EndOfJob",
                    },
                }
                for name in job.outputs
            ],
            **({"KmsKeyId": settings.kms_key} if settings.kms_key else {}),
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": job.hosts,
                "InstanceType": settings.instance_types.get(job.container, settings.instance_type),
                "VolumeSizeInGB": settings.volume_gib,
                **({"VolumeKmsKeyId": settings.volume_kms_key} if settings.volume_kms_key else {}),
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": job.timeout_s},
        "Environment": variables,
        "NetworkConfig": {
            "EnableNetworkIsolation": settings.network_isolation,
            "EnableInterContainerTrafficEncryption": settings.encrypt_traffic,
        },
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags_of(job, settings, url).items())],
    }
    if settings.subnets:
        request["NetworkConfig"]["VpcConfig"] = {
            "Subnets": settings.subnets,
            "SecurityGroupIds": settings.security_groups,
        }
    return request


def processing_result(
    job: JobSpec,
    described: Mapping[str, Any],
    metrics: Mapping[str, float],
    copies: LocalCopies,
    *,
    url: Callable[[str], str],
) -> JobResult:
    """The result of a job that ended. Raises the error of one that did not complete."""
    log = copies.tree(job.name).log
    if described[PROCESSING.status] != "Completed":
        where = f"Its log is '{log}' (CloudWatch: {PROCESSING.group}, {job.name}/)."
        empty = {url(c.prefix): f"'{c.name}' is empty: there is nothing under '{c.prefix}'" for c in job.channels}
        raise processing_failure_of(described, empty, where)
    begun = described.get("ProcessingStartTime", described["CreationTime"])
    return JobResult(
        name=job.name,
        status="Completed",
        secondary_status="Completed",
        failure_reason="",
        exit_code=0,
        metrics=dict(metrics),
        model_dir=None,
        output_dir=copies.outputs(job.name, outputs_prefix(job)),
        log_path=log,
        started_at=begun,
        ended_at=described["ProcessingEndTime"],
        billable_s=max(0, round(_seconds(begun, described["ProcessingEndTime"]))),
    )


def processing_as_training(described: Mapping[str, Any]) -> dict[str, Any]:
    """A processing job as if it were a training job: what the platform asks of one."""
    status = described[PROCESSING.status]
    found = {
        "TrainingJobName": described[PROCESSING.name],
        "TrainingJobArn": described[PROCESSING.arn],
        "TrainingJobStatus": status,
        "SecondaryStatus": "Processing" if status == "InProgress" else status,
        "FailureReason": described.get("FailureReason", ""),
        "ResourceConfig": described["ProcessingResources"]["ClusterConfig"],
        "ProcessingOutputs": [o["OutputName"] for o in described.get("ProcessingOutputConfig", {}).get("Outputs", ())],
        "Tags": described.get("Tags", []),
        **{name: described[name] for name in ("CreationTime", "LastModifiedTime") if name in described},
    }
    if "ProcessingEndTime" in described:
        found["TrainingEndTime"] = described["ProcessingEndTime"]
    return found


def _seconds(begun: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()
