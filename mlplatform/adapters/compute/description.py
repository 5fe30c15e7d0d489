"""A job's state as DescribeTrainingJob shows it, written whole at each change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from mlplatform.adapters.compute.process import ProcessId
from mlplatform.adapters.compute.tree import JobTree
from mlplatform.errors import StateError
from mlplatform.ports.compute import JobResult, JobSpec, JobStatus, RunningJob
from mlplatform.spec.home import write_atomically

ENDED: frozenset[str] = frozenset({"Completed", "Failed", "Stopped"})
_METRIC = re.compile(r"^\[\d+\]\s+([A-Za-z_][\w:.-]*): ([-+]?[\d.]+(?:[eE][-+]?\d+)?)$")


def first_description(job: JobSpec, runner: ProcessId) -> dict[str, Any]:
    """The state of a job that was just claimed by `runner`."""
    now = _now()
    return {
        "TrainingJobName": job.name,
        "TrainingJobArn": f"arn:local:sagemaker:local:0:training-job/{job.name}",
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "FailureReason": "",
        "HyperParameters": dict(job.hyperparameters),
        "AlgorithmSpecification": {"TrainingImage": job.container, "TrainingInputMode": "File"},
        "InputDataConfig": [
            {
                "ChannelName": c.name,
                "ContentType": c.content_type,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix", "S3Uri": c.prefix, "S3DataDistributionType": c.distribution
                    }
                },
            }
            for c in job.channels
        ],
        "OutputDataConfig": {"S3OutputPath": job.output_prefix},
        "ResourceConfig": {"InstanceType": "local", "InstanceCount": job.hosts},
        "StoppingCondition": {"MaxRuntimeInSeconds": job.timeout_s},
        "Environment": dict(job.environment),
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(job.tags.items())],
        "CreationTime": now,
        "LastModifiedTime": now,
        "SecondaryStatusTransitions": [{"Status": "Starting", "StartTime": now, "StatusMessage": ""}],
        "FinalMetricDataList": [],
        "Local": {"Runner": runner.to_json(), "Session": None, "ExitCode": None, "PeakMemoryMiB": 0.0, "Hosts": {}},
        **({"CheckpointConfig": {"S3Uri": job.checkpoint_prefix}} if job.checkpoint_prefix else {}),
        **({"ProcessingOutputs": list(job.outputs)} if job.outputs else {}),
    }  # fmt: skip


def move(description: dict[str, Any], secondary: str, *, status: JobStatus | None = None, reason: str = "") -> None:
    """Enter another secondary status (and status), with the time."""
    now = _now()
    transitions = description["SecondaryStatusTransitions"]
    transitions[-1].setdefault("EndTime", now)
    transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": reason})
    description["SecondaryStatus"] = secondary
    description["LastModifiedTime"] = now
    if secondary == "Training":
        description["TrainingStartTime"] = now
    if status is not None:
        description["TrainingJobStatus"] = status
        description["FailureReason"] = reason
        if status in ENDED:
            description["TrainingEndTime"] = transitions[-1]["EndTime"] = now


def note_metric(description: dict[str, Any], line: str) -> None:
    """Keep the metric a log line of the form ``[i] metric: value`` carries; the last value of each counts."""
    match = _METRIC.match(line)
    if match is None:
        return
    kept = [m for m in description["FinalMetricDataList"] if m["MetricName"] != match[1]]
    description["FinalMetricDataList"] = [
        *kept, {"MetricName": match[1], "Value": float(match[2]), "Timestamp": _now()}
    ]  # fmt: skip


def write_description(tree: JobTree, description: dict[str, Any]) -> None:
    write_atomically(tree.describe, json.dumps(description, indent=1).encode())


def read_description(tree: JobTree) -> dict[str, Any]:
    """The state last written. Raises StateError where it is damaged."""
    try:
        content: dict[str, Any] = json.loads(tree.describe.read_bytes())
    except ValueError as error:
        raise StateError(f"'{tree.describe}' is no job description: {error}.") from error
    return content


def result_of(tree: JobTree, description: dict[str, Any]) -> JobResult:
    """The job's result; folders where it left something there."""
    local, first = description["Local"], tree.first
    model, output = (None, first.processed) if "ProcessingOutputs" in description else (first.model, first.output)
    return JobResult(
        name=description["TrainingJobName"],
        status=description["TrainingJobStatus"],
        secondary_status=description["SecondaryStatus"],
        failure_reason=description["FailureReason"],
        exit_code=local["ExitCode"],
        metrics={m["MetricName"]: m["Value"] for m in description["FinalMetricDataList"]},
        model_dir=model if model is not None and model.is_dir() else None,
        output_dir=output if output.is_dir() else None,
        log_path=tree.log if tree.log.is_file() else None,
        started_at=description.get("TrainingStartTime", description["CreationTime"]),
        ended_at=description.get("TrainingEndTime", ""),
        peak_memory_mib=local["PeakMemoryMiB"],
    )


def running_of(described: Iterable[Mapping[str, Any]]) -> tuple[RunningJob, ...]:
    """Those of the jobs described that have not ended."""
    return tuple(
        RunningJob(
            name=job["TrainingJobName"],
            status=job["SecondaryStatus"],
            since=job["CreationTime"],
            machine=job["ResourceConfig"].get("InstanceType", ""),
            hosts=job["ResourceConfig"].get("InstanceCount", 1),
            system=next((str(tag["Value"]) for tag in job.get("Tags", ()) if tag["Key"] == "system"), ""),
        )
        for job in described
        if job["TrainingJobStatus"] not in ENDED
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
