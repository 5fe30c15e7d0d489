"""What SageMaker says of a job that did not complete, as the platform's errors."""

from __future__ import annotations

from typing import Any

import pytest

from mlplatform.adapters.compute.sagemaker_errors import failure_of
from mlplatform.errors import (
    DataError,
    JobError,
    PermissionDeniedError,
    PlatformError,
    TimedOutError,
    UnavailableError,
)

CHANNELS = {"s3://lake/unload/a/": "'train' is empty: there is nothing under 'unload/a/'"}
LOG = "Its log is 'job.log'."


def _failure(reason: str, **more: Any) -> PlatformError:
    described = {
        "TrainingJobName": "job-1",
        "TrainingJobStatus": "Failed",
        "SecondaryStatus": "Failed",
        "FailureReason": reason,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
        **more,
    }
    return failure_of(described, CHANNELS, LOG)


@pytest.mark.parametrize(
    ("reason", "kind", "step"),
    [
        ("AlgorithmError: Column 'x' is missing., exit code: 5", JobError, LOG),
        ("AlgorithmError: AccessDenied when I called S3 myself, exit code: 1", JobError, LOG),
        ("CapacityError: Unable to provision requested ML compute capacity.", UnavailableError, "another instance_type"),
        ("InternalServerError: We encountered an internal error. Please try again.", UnavailableError, "Start it again."),
        ("ClientError: Data download failed:AccessDenied (403): Access Denied", PermissionDeniedError, "role_arn"),
        ("ClientError: Unable to assume role arn:aws:iam::1:role/x", PermissionDeniedError, "sagemaker.amazonaws.com"),
        ("ClientError: Please use an instance type with more memory.", JobError, LOG),
    ],
)  # fmt: skip
def test_a_reason_is_an_error_with_the_next_step(reason: str, kind: type[PlatformError], step: str) -> None:
    found = _failure(reason)
    assert type(found) is kind
    assert found.message == f"Job 'job-1' is Failed: {reason}"
    assert step in found.next_step
    assert LOG in found.next_step


def test_a_channel_without_objects_is_called_by_its_name() -> None:
    found = _failure(
        'ClientError: Data download failed:No S3 objects found under S3 URL "s3://lake/unload/a/" given in'
    )
    assert type(found) is DataError
    assert found.message == "Channel 'train' is empty: there is nothing under 'unload/a/'."


@pytest.mark.parametrize(
    ("secondary", "said"),
    [
        ("MaxRuntimeExceeded", "Job 'job-1' is Stopped: It ran longer than 60 s."),
        ("MaxWaitTimeExceeded", "Job 'job-1' is Stopped: It waited for spot capacity and ran longer than 90 s."),
    ],
)
def test_a_job_out_of_time_says_which_limit_it_met(secondary: str, said: str) -> None:
    found = _failure("", TrainingJobStatus="Stopped", SecondaryStatus=secondary)
    assert (type(found), found.message) == (TimedOutError, said)


def test_a_stopped_job_says_that_somebody_stopped_it() -> None:
    found = _failure("", TrainingJobStatus="Stopped", SecondaryStatus="Stopped")
    assert (type(found), found.message) == (JobError, "Job 'job-1' is Stopped: Stopped on request.")
