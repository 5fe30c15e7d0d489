"""A search as SageMaker's hyperparameter tuning job: its trials are training jobs, the best one's model is the job's.

(https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning.html.) Trials write logs of their own; told are their ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlplatform.adapters.compute.description import ENDED
from mlplatform.adapters.compute.sagemaker_errors import search_failure_of
from mlplatform.adapters.compute.sagemaker_follow import awaited
from mlplatform.adapters.compute.sagemaker_jobs import TUNING, RemoteJobs, plain
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.compute.sagemaker_wait import Patience
from mlplatform.ports.compute import JobSearch, JobSpec, Trial

_TUNED = "FinalHyperParameterTuningJobObjectiveMetric"
OnLine = Callable[[str], None]


class Tuning:
    """Tuning jobs. `client` opens boto3's client of SageMaker."""

    def __init__(self, settings: SageMakerComputeSettings, client: Callable[[], Any]) -> None:
        self.jobs = RemoteJobs(TUNING, settings, client)
        self._settings = settings
        self._open = client

    def run(self, request: Mapping[str, Any], *, say: OnLine) -> dict[str, Any]:
        """Run to the end, or join the tuning job of that name; its last description.

        Raises:
            JobError: none of its trials came to a value, or it failed or was stopped.
        """
        return self.jobs.run(request, lambda: self._followed(str(request[TUNING.name]), say))

    def trials(self, name: str) -> list[dict[str, Any]]:
        """Its training jobs in the order in which they were made, as SageMaker lists them."""
        return sorted((plain(job) for job in self._listed(name)), key=lambda job: str(job["CreationTime"]))

    def _listed(self, name: str) -> Iterator[dict[str, Any]]:
        request: dict[str, Any] = {TUNING.name: name, "MaxResults": 100}
        while True:
            with self.jobs.asked(name):
                page = self._open().list_training_jobs_for_hyper_parameter_tuning_job(**request)
            yield from page["TrainingJobSummaries"]
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]

    def _followed(self, name: str, say: OnLine) -> dict[str, Any]:
        self.jobs.seen(name)
        pause, away, told = self.jobs.pause(name), Patience(self._settings.patience_s), set[str]()
        while True:
            with away.bearing():
                described = awaited(self.jobs, name)
                for trial in self.trials(name):
                    if trial["TrainingJobStatus"] in ENDED and trial["TrainingJobName"] not in told:
                        told.add(trial["TrainingJobName"])
                        say(_line(trial))
                if self.jobs.ended(described):
                    return described
            pause.wait()


def best_of(described: Mapping[str, Any], log: str) -> str:
    """The name of the best trial. Raises the error of a tuning job that has none; `log`: where its log is."""
    best = described.get("BestTrainingJob")
    if described[TUNING.status] != "Completed" or best is None:
        raise search_failure_of(described, log)
    return str(best["TrainingJobName"])


def trial_of(listed: Mapping[str, Any], search: JobSearch, job: JobSpec) -> Trial:
    """A trial as the port tells it: with all its hyperparameters, and the search's metric where it came to one."""
    tuned = {k: v for k, v in listed["TunedHyperParameters"].items() if k in search.ranges}
    return Trial(
        job=listed["TrainingJobName"],
        status=listed["TrainingJobStatus"],
        hyperparameters={**job.hyperparameters, **tuned},
        value=listed[_TUNED]["Value"] if _TUNED in listed else None,
    )


def as_training(described: Mapping[str, Any]) -> dict[str, Any]:
    """A tuning job as if it were a training job: what the platform asks of one."""
    definition, status = described["TrainingJobDefinition"], described[TUNING.status]
    found = {
        "TrainingJobName": described[TUNING.name],
        "TrainingJobArn": described[TUNING.arn],
        "TrainingJobStatus": status,
        "SecondaryStatus": "Tuning" if status == "InProgress" else status,
        "FailureReason": described.get("FailureReason", ""),
        "HyperParameters": definition.get("StaticHyperParameters", {}),
        "TrainingJobStatusCounters": described.get("TrainingJobStatusCounters", {}),
        "Tags": described.get("Tags", []),
        **{name: definition[name] for name in ("ResourceConfig", "OutputDataConfig", "StoppingCondition")},
        **{name: described[name] for name in ("CreationTime", "LastModifiedTime") if name in described},
    }
    if "HyperParameterTuningEndTime" in described:
        found["TrainingEndTime"] = described["HyperParameterTuningEndTime"]
    return found


def _line(trial: Mapping[str, Any]) -> str:
    name, values = trial["TrainingJobName"], ", ".join(f"{k}={v}" for k, v in trial["TunedHyperParameters"].items())
    if _TUNED in trial:
        metric = trial[_TUNED]
        return f"{name} ({values}): {metric['MetricName']}: {metric['Value']:.6g}"
    reason = trial.get("FailureReason", "")
    return f"{name} ({values}) is {trial['TrainingJobStatus']}" + (f": {reason}" if reason else "")
