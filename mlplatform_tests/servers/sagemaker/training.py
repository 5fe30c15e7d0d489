"""Training jobs: made, described, listed, stopped and deleted as SageMaker does. `training_run` runs them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker import training_run
from mlplatform_tests.servers.sagemaker.account import Account, Operation
from mlplatform_tests.servers.sagemaker.listing import page
from mlplatform_tests.servers.sagemaker.training_state import ENDED, KIND

_SUMMARY = (
    "TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime", "TrainingJobStatus",
    "SecondaryStatus",
)  # fmt: skip
_NOT_DESCRIBED = ("Tags",)


def create(account: Account, request: dict[str, Any]) -> dict[str, Any]:
    """Take the job, and run it in the background."""
    name = request["TrainingJobName"]
    _check(account, request)
    arn, now = account.arn(KIND, name), time.time()
    record = {
        **request,
        "TrainingJobArn": arn,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "CreationTime": now,
        "LastModifiedTime": now,
        "SecondaryStatusTransitions": [
            {"Status": "Starting", "StartTime": now, "StatusMessage": "Starting the training job"}
        ],
    }
    if not account.records.add(KIND, name, record):
        raise AwsRefusedError(
            "ResourceInUse",
            f"Job name must be unique within an AWS account and region, and a training job already exists with this "
            f"name ({arn})",
        )
    account.work(arn, training_run.run, account, record)
    return {"TrainingJobArn": arn}


def describe(account: Account, request: dict[str, Any]) -> dict[str, Any]:
    found = account.known(KIND, request["TrainingJobName"])
    artifacts = {"S3ModelArtifacts": training_run.model_uri(found)}
    return {"ModelArtifacts": artifacts, **{key: found[key] for key in found if key not in _NOT_DESCRIBED}}


def stop(account: Account, request: dict[str, Any]) -> dict[str, Any]:
    found = account.known(KIND, request["TrainingJobName"])
    if found["TrainingJobStatus"] in ENDED:
        raise AwsRefusedError(
            "ValidationException",
            f"The request was rejected because the training job is in status {found['TrainingJobStatus']}.",
        )
    training_run.ask_to_stop(account, request["TrainingJobName"])
    return {}


def list_all(account: Account, request: dict[str, Any]) -> dict[str, Any]:
    found = account.records.all(KIND)
    known = [{key: job[key] for key in _SUMMARY if key in job} for job in found]
    return page(known, request, key="TrainingJobSummaries", name="TrainingJobName", status="TrainingJobStatus")


def delete(account: Account, request: dict[str, Any]) -> dict[str, Any]:
    name = request["TrainingJobName"]
    found = account.known(KIND, name)
    if found["TrainingJobStatus"] not in ENDED:
        raise AwsRefusedError("ResourceInUse", f"Training job {name} is in status {found['TrainingJobStatus']}.")
    training_run.forget(account, name)
    account.records.delete(KIND, name)
    return {}


def resume(account: Account) -> None:
    """Fail what ran when the stand-in was killed."""
    for job in account.records.all(KIND):
        if job["TrainingJobStatus"] not in ENDED:
            training_run.lost(account, job)


def _check(account: Account, request: dict[str, Any]) -> None:
    stopping = request.get("StoppingCondition", {})
    if request.get("EnableManagedSpotTraining"):
        most = stopping.get("MaxRuntimeInSeconds", 86_400)
        if stopping.get("MaxWaitTimeInSeconds", 0) < most:
            raise AwsRefusedError(
                "ValidationException",
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds",
            )
    elif "MaxWaitTimeInSeconds" in stopping:
        raise AwsRefusedError(
            "ValidationException", "MaxWaitTimeInSeconds is only for jobs with EnableManagedSpotTraining"
        )
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", ())]
    if len(names) != len(set(names)):
        raise AwsRefusedError("ValidationException", "Duplicate channel names are not allowed")
    for channel in request.get("InputDataConfig", ()):
        _check_channel(channel)
    if request["AlgorithmSpecification"]["TrainingInputMode"] != "File":
        raise AwsRefusedError("ValidationException", "The stand-in knows TrainingInputMode File only")
    count = request.get("ResourceConfig", {}).get("InstanceCount", 1)
    kind = request.get("ResourceConfig", {}).get("InstanceType", "")
    if count > training_run.MOST_HOSTS:
        raise AwsRefusedError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{kind} for training job usage' is {training_run.MOST_HOSTS} Instances, "
            f"with current utilization of 0 Instances and a request delta of {count} Instances. Please use AWS Service "
            "Quotas to request an increase for this quota.",
        )
    training_run.check_image(account, request)


def _check_channel(channel: dict[str, Any]) -> None:
    """Refuse what the stand-in would read otherwise than SageMaker does."""
    source = channel["DataSource"].get("S3DataSource", {})
    for what, found, known in (
        ("S3DataType", source.get("S3DataType"), "S3Prefix"),
        ("InputMode", channel.get("InputMode", "File"), "File"),
        ("CompressionType", channel.get("CompressionType", "None"), "None"),
        ("RecordWrapperType", channel.get("RecordWrapperType", "None"), "None"),
    ):
        if found != known:
            raise AwsRefusedError("ValidationException", f"The stand-in knows {what} {known} only, not {found}")


OPERATIONS: Mapping[str, Operation] = {
    "CreateTrainingJob": create,
    "DescribeTrainingJob": describe,
    "StopTrainingJob": stop,
    "ListTrainingJobs": list_all,
    "DeleteTrainingJob": delete,
}
