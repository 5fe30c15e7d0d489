"""A training job at work: the platform's own runner on this machine, in SageMaker's words.

The runner's description is followed, and each of its changes becomes one of the job's. Misfortunes: ``capacity`` (there is
no machine), ``interruption`` (a spot job loses its machines while it trains, and begins anew from its checkpoints), ``no spot
capacity`` (a spot job waits for a machine in vain).
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from mlplatform.adapters.compute.artifacts import store_artifacts
from mlplatform.adapters.compute.host_tree import host_names
from mlplatform.adapters.compute.hosts import MAX_HOSTS
from mlplatform.adapters.compute.subprocess import SubprocessCompute
from mlplatform.adapters.compute.tree import JobTree
from mlplatform.errors import DataError, NotFoundError, PlatformError
from mlplatform.ports.compute import Channel, JobSpec
from mlplatform_tests.servers.sagemaker import images
from mlplatform_tests.servers.sagemaker.account import REGION, Account
from mlplatform_tests.servers.sagemaker.buckets import Buckets, buckets_of, key_of
from mlplatform_tests.servers.sagemaker.logs import TRAINING, JobLogs
from mlplatform_tests.servers.sagemaker.training_state import ENDED, KIND, move, note_metric

MOST_HOSTS = MAX_HOSTS
_LOOK_S = 0.03
_LAST = (*ENDED, "MaxRuntimeExceeded")
_NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. "
    "Please retry using a different ML instance type or in a different region."
)
_EMPTY = (
    'ClientError: Data download failed:No S3 objects found under S3 URL "{uri}" given in input data source. '
    "Please ensure that the bucket exists in the selected region, that objects exist under that S3 prefix"
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
        move(account, name, "Failed", status="Failed", reason=_NO_CAPACITY)
        return
    spot = bool(record.get("EnableManagedSpotTraining"))
    if spot and account.faults.takes("no spot capacity"):
        move(account, name, "MaxWaitTimeExceeded", status="Stopped")
        return
    store = buckets_of(account)
    try:
        compute, job = _prepared(account, store, record)
    except PlatformError as error:
        move(account, name, "Failed", status="Failed", reason=f"ClientError: {error.message}")
        return
    log = JobLogs(account, TRAINING, name, list(host_names(job.hosts)))
    note = _noted(account, record, log)
    while True:
        error, interrupted = _attempt(account, compute, job, note, spot=spot)
        if not interrupted:
            break
        compute.remove(name)
        for step in ("Interrupted", "Starting"):
            move(account, name, step)
    log.close()
    _end(account, compute, store, record, error)


def ask_to_stop(account: Account, name: str) -> None:
    """Stop the job, in the background."""
    move(account, name, "Stopping", status="Stopping")
    account.work(account.arn("stop", name), _stop, account, name)


def forget(account: Account, name: str) -> None:
    """Take away what lies here of a job that has ended."""
    _compute(account, None).remove(name)


def lost(account: Account, record: dict[str, Any]) -> None:
    """The job's runner is gone."""
    name = record["TrainingJobName"]
    with contextlib.suppress(NotFoundError):
        _compute(account, None).describe(name)  # ends what it had started
    why = "InternalServerError: We encountered an internal error. Please try again."
    move(account, name, "Failed", status="Failed", reason=why)


def _attempt(
    account: Account, compute: SubprocessCompute, job: JobSpec, note: Callable[[str], None], *, spot: bool
) -> tuple[BaseException | None, bool]:
    """What the runner raised, and whether it was interrupted."""
    errors: list[BaseException] = []
    worker = threading.Thread(target=_work, args=(compute, job, note, errors), name=f"run {job.name}", daemon=True)
    worker.start()
    seen, interrupted = 1, False
    while worker.is_alive():
        seen, state = _follow(account, compute, job.name, seen)
        if spot and state == "Training" and not interrupted and account.faults.takes("interruption"):
            interrupted = True
            compute.stop(job.name)
        worker.join(_LOOK_S)
    if not interrupted:
        _follow(account, compute, job.name, seen)
    return errors[0] if errors else None, interrupted


def _work(compute: SubprocessCompute, job: JobSpec, on_log: Callable[[str], None], errors: list[BaseException]) -> None:
    try:
        compute.run(job, on_log=on_log)
    except Exception as error:  # noqa: BLE001 - whatever it was, the job has ended with it
        errors.append(error)


def _follow(account: Account, compute: SubprocessCompute, name: str, seen: int) -> tuple[int, str]:
    """Enter what the runner has entered since its first `seen` states, but for its end; how many there are now, and the last."""
    try:
        steps = [step["Status"] for step in compute.describe(name)["SecondaryStatusTransitions"]]
    except NotFoundError:
        return seen, ""  # it has not begun
    for step in steps[seen:]:
        if step not in _LAST:
            move(account, name, step)
    return len(steps), steps[-1]


def _compute(account: Account, store: Any, *folders: Any) -> SubprocessCompute:
    return SubprocessCompute(
        account.folder / "jobs",
        store,
        containers=[*folders, *account.containers],
        grace_s=account.grace_s,
        environment=account.environment,
    )


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
    own = {"TRAINING_JOB_ARN": record["TrainingJobArn"], "AWS_REGION": REGION, **account.role_variables}
    job = JobSpec(
        name,
        container,
        given,
        tuple(_channel(channel) for channel in record.get("InputDataConfig", ())),
        key_of(_output(record)),
        environment={**record.get("Environment", {}), **own},
        timeout_s=record.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86_400),
        hosts=record.get("ResourceConfig", {}).get("InstanceCount", 1),
        checkpoint_prefix=f"{key_of(checkpoints).rstrip('/')}/" if checkpoints else "",
    )
    return _compute(account, store, folder), job


def _channel(given: dict[str, Any]) -> Channel:
    source = given["DataSource"]["S3DataSource"]
    sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
    return Channel(given["ChannelName"], key_of(source["S3Uri"]), given.get("ContentType", ""), sharded)


def _output(record: dict[str, Any]) -> str:
    return f"{record['OutputDataConfig']['S3OutputPath'].rstrip('/')}/"


def _noted(account: Account, record: dict[str, Any], log: JobLogs) -> Callable[[str], None]:
    """What is done with each line of the log: it is kept, and looked through for metrics."""
    wanted = [
        (d["Name"], re.compile(d["Regex"])) for d in record["AlgorithmSpecification"].get("MetricDefinitions", ())
    ]

    def note(line: str) -> None:
        log.say(line)
        for metric, pattern in wanted:
            if (match := pattern.search(line)) is not None:
                note_metric(account, record["TrainingJobName"], metric, float(match[1]))

    return note


def _end(
    account: Account, compute: SubprocessCompute, store: Buckets, record: dict[str, Any], error: BaseException | None
) -> None:
    name = record["TrainingJobName"]
    try:
        found = compute.describe(name)
    except NotFoundError:
        found = {"TrainingJobStatus": "Failed", "SecondaryStatus": "Failed", "FailureReason": f"ClientError: {error}"}
    status, secondary, reason = found["TrainingJobStatus"], found["SecondaryStatus"], found["FailureReason"]
    if status == "Stopped":
        # What a stopped job has left until then is its model.
        move(account, name, "Uploading")
        tree = JobTree(account.folder / "jobs" / name)
        store_artifacts(store, key_of(_output(record)), name, tree.first, {}, tree.root)
    move(account, name, secondary, status=status, reason=_reason(record, reason, error) if status == "Failed" else "")


def _reason(record: dict[str, Any], reason: str, error: BaseException | None) -> str:
    if isinstance(error, DataError) and "is empty" in str(error):
        for channel in record["InputDataConfig"]:
            if f"'{channel['ChannelName']}'" in str(error):
                return _EMPTY.format(uri=channel["DataSource"]["S3DataSource"]["S3Uri"])
    if isinstance(error, PlatformError) and not reason.startswith("AlgorithmError"):
        return f"ClientError: {error.message}"
    return reason


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
