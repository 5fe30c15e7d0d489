"""Hyperparameter tuning jobs: training jobs with values out of ranges, judged by the metric they emitted last.

(https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning.html.) The stand-in takes one `TrainingJobDefinition`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from mlplatform.errors import JobError, SpecError
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker import events, training, tuning_search
from mlplatform_tests.servers.sagemaker.account import Account, Operation
from mlplatform_tests.servers.sagemaker.job_kind import EndedError, JobKind
from mlplatform_tests.servers.sagemaker.listing import page
from mlplatform_tests.servers.sagemaker.training_state import ENDED
from mlplatform_tests.servers.sagemaker.training_state import KIND as TRAINING_JOB

_LOOK_S = 0.05
_NOT_STATIC = ("StaticHyperParameters", "DefinitionName", "TuningObjective", "HyperParameterRanges")


def _check(account: Account, request: dict[str, Any]) -> None:
    if "TrainingJobDefinition" not in request:
        raise AwsRefusedError("ValidationException", "The stand-in needs TrainingJobDefinition")
    try:
        tuning_search.check(*_asked(request))
    except SpecError as error:
        raise AwsRefusedError("ValidationException", error.message) from error
    wanted, defined = _objective(request)["MetricName"], request["TrainingJobDefinition"]["AlgorithmSpecification"]
    if wanted not in [given["Name"] for given in defined.get("MetricDefinitions", ())]:
        raise AwsRefusedError("ValidationException", f"The objective '{wanted}' is none of the MetricDefinitions")


def _run(account: Account, record: dict[str, Any]) -> dict[str, Any]:
    """Try until there are enough trials, the target is met, or somebody stops it."""
    name, (config, ranges) = TUNING.name_of(record), _asked(record)
    limits, running, made = config["ResourceLimits"], [], 0
    most, at_once = limits.get("MaxNumberOfTrainingJobs", 500), limits["MaxParallelTrainingJobs"]
    search = tuning_search.trials(config, ranges)
    deadline = time.monotonic() + limits.get("MaxRuntimeInSeconds", 15_768_000)
    more = True
    while more or running:
        stopping = TUNING.stopping(account, name) or time.monotonic() > deadline or _met(account, record)
        more = more and made < most and not stopping
        if more and len(running) < at_once:
            values = next(search, None)
            more = values is not None
            if values is not None:
                made += 1
                running.append(_try(account, record, made, values))
            continue
        states = {job: account.known(TRAINING_JOB, job)["TrainingJobStatus"] for job in running}
        for job in [job for job, status in states.items() if stopping and status == "InProgress"]:
            training.stop(account, {"TrainingJobName": job})
        running = [job for job, status in states.items() if status not in ENDED]
        time.sleep(_LOOK_S)
    if TUNING.stopping(account, name):
        raise EndedError("Stopped")
    if not any(job["TrainingJobStatus"] == "Completed" for job in _jobs(account, name)):
        raise JobError("No training job completed.")
    return {}


def _try(account: Account, record: dict[str, Any], number: int, values: dict[str, str]) -> str:
    definition, name = record["TrainingJobDefinition"], TUNING.name_of(record)
    job = f"{name}-{number:03d}-{uuid.uuid4().hex[:8]}"
    given = {key: value for key, value in definition.items() if key not in _NOT_STATIC}
    known = {**definition.get("StaticHyperParameters", {}), **values}
    known["_tuning_objective_metric"] = _objective(record)["MetricName"]
    # A tuning job's tags are its trials' as well.
    tags = {"Tags": record["Tags"]} if record.get("Tags") else {}
    training.create(account, {**given, **tags, "TrainingJobName": job, "HyperParameters": known})
    tried = {"TuningJobArn": record[f"{TUNING.label}Arn"]}
    account.records.change(TRAINING_JOB, job, lambda found: found.update(tried))
    account.records.put("tuning-trial", job, {"name": job, "tuning": name, "values": values})
    return job


def _met(account: Account, record: dict[str, Any]) -> bool:
    """Whether a trial reached what the tuning job is to reach."""
    criteria = record["HyperParameterTuningJobConfig"].get("TuningJobCompletionCriteria", {})
    if "TargetObjectiveMetricValue" not in criteria:
        return False
    best = _best(_summaries(account, record), _objective(record)["Type"])
    if best is None:
        return False
    value = best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    target = criteria["TargetObjectiveMetricValue"]
    return bool(value >= target if _objective(record)["Type"] == "Maximize" else value <= target)


def _described(account: Account, record: dict[str, Any]) -> dict[str, Any]:
    found = _summaries(account, record)
    counts = dict.fromkeys(("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped"), 0)
    judged = dict.fromkeys(("Succeeded", "Pending", "Failed"), 0)
    for job in found:
        status = job["TrainingJobStatus"]
        counts[{"Failed": "NonRetryableError", "Stopping": "InProgress"}.get(status, status)] += 1
        judged[job["ObjectiveStatus"]] += 1
    config = record["HyperParameterTuningJobConfig"]
    shown = {**record, "TrainingJobStatusCounters": counts, "ObjectiveStatusCounters": judged}
    shown |= {"Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}
    best = _best(found, _objective(record)["Type"])
    return {**shown, "BestTrainingJob": best} if best is not None else shown


def _summaries(account: Account, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    objective, found = _objective(record), []
    for job in _jobs(account, TUNING.name_of(record)):
        names = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingStartTime", "TrainingEndTime")
        shown = {key: job[key] for key in (*names, "TrainingJobStatus", "FailureReason") if key in job}
        trial = account.known("tuning-trial", job["TrainingJobName"])
        shown |= {"TunedHyperParameters": trial["values"], "TuningJobName": trial["tuning"]}
        metric = [m for m in job.get("FinalMetricDataList", ()) if m["MetricName"] == objective["MetricName"]]
        if metric:
            final = {"Type": objective["Type"], "MetricName": objective["MetricName"], "Value": metric[0]["Value"]}
            shown["FinalHyperParameterTuningJobObjectiveMetric"] = final
        ended = job["TrainingJobStatus"] in ENDED
        shown["ObjectiveStatus"] = "Pending" if not ended else "Succeeded" if metric else "Failed"
        found.append(shown)
    return found


def _jobs(account: Account, name: str) -> list[dict[str, Any]]:
    trials = [trial["name"] for trial in account.records.all("tuning-trial") if trial["tuning"] == name]
    found = (account.records.get(TRAINING_JOB, trial) for trial in trials)
    return [job for job in found if job is not None]


def _best(found: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    judged = [job for job in found if job["ObjectiveStatus"] == "Succeeded" and job["TrainingJobStatus"] == "Completed"]
    sign = 1 if kind == "Minimize" else -1
    return min(judged, key=lambda job: sign * _value(job), default=None)


def _value(job: Mapping[str, Any]) -> float:
    return float(job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


def _objective(record: Mapping[str, Any]) -> dict[str, Any]:
    own = record["TrainingJobDefinition"].get("TuningObjective")
    return dict(own or record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"])


def _asked(record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    config = record["HyperParameterTuningJobConfig"]
    return config, record["TrainingJobDefinition"].get("HyperParameterRanges") or config.get("ParameterRanges", {})


def _list_trials(account: Account, request: dict[str, Any]) -> dict[str, Any]:
    record = account.known(TUNING.kind, TUNING.name_of(request))
    found, asked = _summaries(account, record), dict(request)
    if asked.pop("SortBy", "") == "FinalObjectiveMetricValue":
        found = [job for job in found if "FinalHyperParameterTuningJobObjectiveMetric" in job]
        found.sort(key=_value, reverse=request.get("SortOrder", "Ascending") == "Descending")
        return {"TrainingJobSummaries": found[: request.get("MaxResults", 10)]}
    return page(found, asked, key="TrainingJobSummaries", name="TrainingJobName", status="TrainingJobStatus")


TUNING = JobKind(
    kind="hyper-parameter-tuning-job",
    label="HyperParameterTuningJob",
    times="HyperParameterTuning",
    event=events.TUNING,
    work=_run,
    check=_check,
    summary=("Strategy", "TrainingJobStatusCounters", "ObjectiveStatusCounters", "ResourceLimits"),
    described=_described,
)
OPERATIONS: Mapping[str, Operation] = {
    **TUNING.operations,
    "DeleteHyperParameterTuningJob": TUNING.delete,
    "ListTrainingJobsForHyperParameterTuningJob": _list_trials,
}
resume = TUNING.resume
