"""The states of a training job: entered one after the other, each with its time, its words and its event."""

from __future__ import annotations

import itertools
import time
from typing import Any

from mlplatform_tests.servers.sagemaker import events
from mlplatform_tests.servers.sagemaker.account import Account

KIND = "training-job"
ENDED = ("Completed", "Failed", "Stopped")
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "Interrupted": "Training job interrupted: the spot capacity was taken back",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


def move(account: Account, name: str, secondary: str, *, status: str = "", reason: str = "") -> None:
    """Enter another secondary status, and status; nothing where the job has ended or is in that state."""
    moved = []

    def change(job: dict[str, Any]) -> None:
        now, before = time.time(), job["SecondaryStatusTransitions"]
        if job["TrainingJobStatus"] in ENDED or secondary == job["SecondaryStatus"]:
            return
        moved.append(True)
        before[-1].setdefault("EndTime", now)
        step = {"Status": secondary, "StartTime": now, "StatusMessage": reason or _MESSAGES.get(secondary, "")}
        before.append(step)
        job |= {"SecondaryStatus": secondary, "LastModifiedTime": now}
        if secondary == "Training":
            job.setdefault("TrainingStartTime", now)
        if status:
            job["TrainingJobStatus"] = status
        if reason:
            job["FailureReason"] = reason
        if status in ENDED:
            step["EndTime"] = job["TrainingEndTime"] = now
            job |= _seconds(job, now)

    found = account.records.change(KIND, name, change)
    if moved:
        events.send(account, events.TRAINING, found["TrainingJobArn"], _told(found))


def note_metric(account: Account, name: str, metric: str, value: float) -> None:
    """Keep the metric's latest value."""
    found = {"MetricName": metric, "Value": value, "Timestamp": time.time()}

    def keep(job: dict[str, Any]) -> None:
        others = [m for m in job.get("FinalMetricDataList", ()) if m["MetricName"] != metric]
        job["FinalMetricDataList"] = [*others, found]

    account.records.change(KIND, name, keep)


def _seconds(job: dict[str, Any], now: float) -> dict[str, int]:
    """Trained is from the first start on, billed is all but what a spot job waited for."""
    started = job.get("TrainingStartTime")
    if started is None:
        return {}
    steps = job["SecondaryStatusTransitions"]
    waited = sum(
        after["StartTime"] - step["StartTime"]
        for step, after in itertools.pairwise(steps)
        if step["Status"] in ("Interrupted", "Starting") and step["StartTime"] > started
    )
    trained = max(1, round(now - started))
    return {"TrainingTimeInSeconds": trained, "BillableTimeInSeconds": max(1, round(trained - waited))}


def _told(record: dict[str, Any]) -> dict[str, Any]:
    """A job as its events describe it: times are milliseconds since 1970, as text."""
    shown = {key: value for key, value in record.items() if key != "SecondaryStatusTransitions"}
    for key in ("CreationTime", "LastModifiedTime", "TrainingStartTime", "TrainingEndTime"):
        if key in shown:
            shown[key] = str(int(shown[key] * 1000))
    return shown
