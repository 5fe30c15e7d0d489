"""SageMaker's refusals and reasons of failure as the platform's errors, each with the next step."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mlplatform.adapters.aws.errors import ACTION, aws_mapped
from mlplatform.errors import (
    ConflictError,
    DataError,
    JobError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    ThrottledError,
    TimedOutError,
    UnavailableError,
    UserError,
)

STOPPED = "Stopped on request."
_KINDS: dict[str, type[PlatformError]] = {
    "ResourceNotFound": NotFoundError,
    "ResourceInUse": ConflictError,
    "ResourceLimitExceeded": ThrottledError,
}
_NO_OBJECTS = re.compile(r'No S3 objects found under S3 URL "([^"]+)"')
_REASONS: tuple[tuple[str, type[PlatformError], str], ...] = (
    ("CapacityError", UnavailableError, "Start it again later, or set another instance_type of the compute connection."),
    ("Unable to provision", UnavailableError, "Start it again later, or set another instance_type of the compute connection."),
    ("InternalServerError", UnavailableError, "Start it again."),
    ("AccessDenied", PermissionDeniedError, "Let the role (role_arn of the compute connection) do that."),
    ("Access Denied", PermissionDeniedError, "Let the role (role_arn of the compute connection) do that."),
    ("Unable to assume role", PermissionDeniedError, "Let sagemaker.amazonaws.com assume role_arn of the compute connection."),
)  # fmt: skip


@contextlib.contextmanager
def sagemaker_mapped(what: str, *, role: str = "") -> Iterator[None]:
    """Errors of a call to SageMaker about `what`. A thing that is not there is a ValidationException by another name."""
    steps: dict[type[PlatformError], str] = {
        PermissionDeniedError: f"Allow {ACTION} on it"
        + (f" (and to make one, iam:PassRole on '{role}')" if role else "")
        + "; a job that was started runs on, and is found again.",
        ThrottledError: "Start it again later, or have the quota raised (Service Quotas, SageMaker).",
    }
    renew = "Renew the credentials; a job that was started runs on, and is found again."
    try:
        with aws_mapped(what, service="SageMaker", kinds=_KINDS, steps=steps, renew=renew):
            yield
    except UserError as error:
        if "Requested resource not found" in error.message:
            raise NotFoundError(error.message) from error
        raise


def failure_of(described: Mapping[str, Any], channels: Mapping[str, str], log: str) -> PlatformError:
    """The error of a job that did not complete. `channels`: what was to lie at each S3 address, `log`: where its log is."""
    name, status, secondary = (described[k] for k in ("TrainingJobName", "TrainingJobStatus", "SecondaryStatus"))
    reason, said = described.get("FailureReason", ""), f"Job '{name}' is {status}: "
    if secondary in ("MaxRuntimeExceeded", "MaxWaitTimeExceeded"):
        stopping, waited = described["StoppingCondition"], secondary == "MaxWaitTimeExceeded"
        limit = stopping["MaxWaitTimeInSeconds" if waited else "MaxRuntimeInSeconds"]
        what = (
            f"It waited for spot capacity and ran longer than {limit} s" if waited else f"It ran longer than {limit} s"
        )
        return TimedOutError(f"{said}{what}.", next_step=log)
    empty = _NO_OBJECTS.search(reason)
    if empty is not None and empty[1] in channels:
        return DataError(f"Channel {channels[empty[1]]}.", next_step=f"Materialize what it reads first (job '{name}').")
    return _by_reason(said, reason, log)


def search_failure_of(described: Mapping[str, Any], log: str) -> PlatformError:
    """The error of a tuning job that has no best trial."""
    name, status = described["HyperParameterTuningJobName"], described["HyperParameterTuningJobStatus"]
    counts = described.get("TrainingJobStatusCounters", {})
    made = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none"
    reason = described.get("FailureReason", "")
    if status == "Completed":
        reason = "No trial printed the metric that is searched for, as a line '[n] metric: value'."
    return _by_reason(f"Search '{name}' is {status} (its trials: {made}): ", reason, log)


def transform_failure_of(described: Mapping[str, Any], log: str) -> PlatformError:
    """The error of a transform job that did not complete. A ClientError is about what it was given: a row that does not fit."""
    said = f"Transform '{described['TransformJobName']}' is {described['TransformJobStatus']}: "
    reason = described.get("FailureReason", "")
    if reason.startswith("ClientError"):
        return DataError(f"{said}{reason}", next_step=log)
    return _by_reason(said, reason, log)


def processing_failure_of(described: Mapping[str, Any], channels: Mapping[str, str], log: str) -> PlatformError:
    """The error of a processing job that did not complete. `channels`: what was to lie at each S3 address."""
    name, reason = described["ProcessingJobName"], described.get("FailureReason", "")
    said = f"Job '{name}' is {described['ProcessingJobStatus']}: "
    if "MaxRuntimeInSeconds" in reason:
        limit = described["StoppingCondition"]["MaxRuntimeInSeconds"]
        return TimedOutError(f"{said}It ran longer than {limit} s.", next_step=log)
    empty = _NO_OBJECTS.search(reason)
    if empty is not None and empty[1] in channels:
        return DataError(f"Channel {channels[empty[1]]}.", next_step=f"Materialize what it reads first (job '{name}').")
    return _by_reason(said, reason, log)


def _by_reason(said: str, reason: str, log: str) -> PlatformError:
    for part, kind, step in _REASONS:
        if part in reason and not reason.startswith("AlgorithmError"):
            return kind(f"{said}{reason}", next_step=f"{step} {log}")
    return JobError(f"{said}{reason or STOPPED}", next_step=log)
