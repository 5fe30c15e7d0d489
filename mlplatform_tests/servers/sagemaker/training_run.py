"""A training job at work: the platform's own runner on this machine, in SageMaker's words.

The runner's description is followed, and each of its changes becomes one of the job's.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from mlplatform.adapters.compute.host_tree import host_names
from mlplatform.adapters.compute.hosts import MAX_HOSTS
from mlplatform.adapters.compute.subprocess import SubprocessCompute
from mlplatform.errors import DataError, NotFoundError, PlatformError
from mlplatform.ports.compute import Channel, JobSpec
from mlplatform_tests.servers.sagemaker import events, images
from mlplatform_tests.servers.sagemaker.account import REGION, Account
from mlplatform_tests.servers.sagemaker.buckets import Buckets, key_of
from mlplatform_tests.servers.sagemaker.logs import TRAINING, JobLogs

KIND = "training-job"
ENDED = ("Completed", "Failed", "Stopped")
MOST_HOSTS = MAX_HOSTS
_LOOK_S = 0.03
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
_NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. "
    "Please retry using a different ML instance type or in a different region."
)


def check_image(account: Account, request: dict[str, Any]) -> None:
    """Raises AwsRefusedError where the request names no image, or one that is not there."""
    images.check_image(account, request["AlgorithmSpecification"].get("TrainingImage", ""))


def model_uri(record: dict[str, Any]) -> str:
    """Where the job's model is put."""
    return f"{_output(record)}{record['TrainingJobName']}/output/model.tar.gz"


def run(account: Account, record: dict[str, Any]) -> None:
    """Run the job to its end."""
    name = record["TrainingJobName"]
    if account.faults.takes("capacity"):
        _move(account, name, "Failed", status="Failed", reason=_NO_CAPACITY)
        return
    store = Buckets({"endpoint_url": account.environment["AWS_ENDPOINT_URL"], "region_name": REGION, **_KEYS})
    compute, job = _prepared(account, store, record)
    log = JobLogs(account, TRAINING, name, list(host_names(job.hosts)))
    metrics = _metrics_of(account, record)

    def note(line: str) -> None:
        log.say(line)
        metrics(line)

    errors: list[BaseException] = []
    worker = threading.Thread(target=_work, args=(compute, job, note, errors), name=f"run {name}", daemon=True)
    worker.start()
    seen = 1
    while worker.is_alive():
        seen = _follow(account, compute, name, seen)
        worker.join(_LOOK_S)
    _follow(account, compute, name, seen)
    log.close()
    _end(account, compute, record, errors[0] if errors else None)


def _follow(account: Account, compute: SubprocessCompute, name: str, seen: int) -> int:
    """Enter what the runner has entered since its first `seen` states, but for its end; how many there are now."""
    try:
        steps = [step["Status"] for step in compute.describe(name)["SecondaryStatusTransitions"]]
    except NotFoundError:
        return seen  # it has not begun
    for step in steps[seen:]:
        if step not in (*ENDED, "MaxRuntimeExceeded"):
            _move(account, name, step)
    return len(steps)


def ask_to_stop(account: Account, name: str) -> None:
    """Stop the job, in the background."""
    _move(account, name, "Stopping", status="Stopping")
    account.work(account.arn("stop", name), _stop, account, name)


def forget(account: Account, name: str) -> None:
    """Take away what lies here of a job that has ended."""
    _compute(account, None).remove(name)


def lost(account: Account, record: dict[str, Any]) -> None:
    """The job's runner is gone."""
    name = record["TrainingJobName"]
    with contextlib.suppress(NotFoundError):
        _compute(account, None).describe(name)  # ends what it had started
    _move(
        account, name, "Failed", status="Failed",
        reason="InternalServerError: We encountered an internal error. Please try again.",
    )  # fmt: skip


_KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


def _compute(account: Account, store: Any, *folders: Any) -> SubprocessCompute:
    return SubprocessCompute(
        account.folder / "jobs",
        store,
        containers=[*folders, *account.containers],
        grace_s=account.grace_s,
        environment=account.environment,
    )


def _work(compute: SubprocessCompute, job: JobSpec, on_log: Callable[[str], None], errors: list[BaseException]) -> None:
    try:
        compute.run(job, on_log=on_log)
    except Exception as error:  # noqa: BLE001 - whatever it was, the job has ended with it
        errors.append(error)


def _prepared(account: Account, store: Buckets, record: dict[str, Any]) -> tuple[SubprocessCompute, JobSpec]:
    name, algorithm = record["TrainingJobName"], record["AlgorithmSpecification"]
    given = record.get("HyperParameters", {})
    folder, container = images.made_container(
        account,
        store,
        name,
        algorithm["TrainingImage"],
        entrypoint=algorithm.get("ContainerEntrypoint", ()),
        arguments=algorithm.get("ContainerArguments", ()),
        hyperparameters=given,
    )
    checkpoints = record.get("CheckpointConfig", {}).get("S3Uri", "")
    job = JobSpec(
        name,
        container,
        given,
        tuple(_channel(channel) for channel in record.get("InputDataConfig", ())),
        key_of(_output(record)),
        environment={
            **record.get("Environment", {}),
            "TRAINING_JOB_ARN": record["TrainingJobArn"],
            "AWS_REGION": REGION,
        },
        timeout_s=record.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86_400),
        hosts=record.get("ResourceConfig", {}).get("InstanceCount", 1),
        checkpoint_prefix=f"{key_of(checkpoints).rstrip('/')}/" if checkpoints else "",
    )
    return _compute(account, store, folder), job


def _channel(given: dict[str, Any]) -> Channel:
    source = given["DataSource"]["S3DataSource"]
    return Channel(given["ChannelName"], key_of(source["S3Uri"]), given.get("ContentType", ""))


def _output(record: dict[str, Any]) -> str:
    return f"{record['OutputDataConfig']['S3OutputPath'].rstrip('/')}/"


def _metrics_of(account: Account, record: dict[str, Any]) -> Callable[[str], None]:
    """Looks for metrics in each line of the log; the latest of each counts."""
    name = record["TrainingJobName"]
    wanted = [
        (d["Name"], re.compile(d["Regex"])) for d in record["AlgorithmSpecification"].get("MetricDefinitions", ())
    ]

    def note(line: str) -> None:
        for metric, pattern in wanted:
            match = pattern.search(line)
            if match is None:
                continue
            found = {"MetricName": metric, "Value": float(match[1]), "Timestamp": time.time()}

            def keep(job: dict[str, Any], found: dict[str, Any] = found) -> None:
                others = [m for m in job.get("FinalMetricDataList", ()) if m["MetricName"] != found["MetricName"]]
                job["FinalMetricDataList"] = [*others, found]

            account.records.change(KIND, name, keep)

    return note


def _end(account: Account, compute: SubprocessCompute, record: dict[str, Any], error: BaseException | None) -> None:
    name = record["TrainingJobName"]
    try:
        found = compute.describe(name)
    except NotFoundError:
        found = {"TrainingJobStatus": "Failed", "SecondaryStatus": "Failed", "FailureReason": f"ClientError: {error}"}
    status, secondary, reason = found["TrainingJobStatus"], found["SecondaryStatus"], found["FailureReason"]
    if isinstance(error, DataError) and "is empty" in str(error):
        uri = next(
            c["DataSource"]["S3DataSource"]["S3Uri"]
            for c in record["InputDataConfig"]
            if f"'{c['ChannelName']}'" in str(error)
        )
        reason = (
            f'ClientError: Data download failed:No S3 objects found under S3 URL "{uri}" given in input data source. '
            "Please ensure that the bucket exists in the selected region, that objects exist under that S3 prefix"
        )
    elif isinstance(error, PlatformError) and status == "Failed" and not reason.startswith("AlgorithmError"):
        reason = f"ClientError: {error.message}"
    _move(account, name, secondary, status=status, reason=reason if status == "Failed" else "")


def _stop(account: Account, name: str) -> None:
    compute = _compute(account, None)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(NotFoundError):
            compute.stop(name)
            return
        if account.known(KIND, name)["TrainingJobStatus"] in ENDED:
            return
        time.sleep(_LOOK_S)


def _move(account: Account, name: str, secondary: str, *, status: str = "", reason: str = "") -> None:
    """Enter another secondary status, and status."""

    def change(job: dict[str, Any]) -> None:
        now, before = time.time(), job["SecondaryStatusTransitions"]
        if job["TrainingJobStatus"] in ENDED or (secondary == job["SecondaryStatus"]):
            return
        before[-1].setdefault("EndTime", now)
        step = {"Status": secondary, "StartTime": now, "StatusMessage": reason or _MESSAGES.get(secondary, "")}
        before.append(step)
        job |= {"SecondaryStatus": secondary, "LastModifiedTime": now}
        if secondary == "Training":
            job["TrainingStartTime"] = now
        if status:
            job["TrainingJobStatus"] = status
        if reason:
            job["FailureReason"] = reason
        if status in ENDED:
            step["EndTime"] = job["TrainingEndTime"] = now
            seconds = max(1, round(now - job.get("TrainingStartTime", now)))
            job |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}

    found = account.records.change(KIND, name, change)
    events.send(account, events.TRAINING, found["TrainingJobArn"], _told(found))


def _told(record: dict[str, Any]) -> dict[str, Any]:
    """A job as its events describe it: times are milliseconds since 1970, as text."""
    shown = {key: value for key, value in record.items() if key != "SecondaryStatusTransitions"}
    for key in ("CreationTime", "LastModifiedTime", "TrainingStartTime", "TrainingEndTime"):
        if key in shown:
            shown[key] = str(int(shown[key] * 1000))
    return shown
