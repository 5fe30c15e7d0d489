"""A job with a search as CreateHyperParameterTuningJob's request: a pure function, like that of a training job.

(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html.) Each trial is a training job of the
same definition, with values out of the ranges; the metric is what the container prints as ``[n] metric: value``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mlplatform.adapters.compute.sagemaker_request import training_request
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.core.training.plan import SearchRange
from mlplatform.errors import SpecError
from mlplatform.ports.compute import MAX_SEARCH_NAME, JobSearch, JobSpec

_OF_A_TRIAL = ("TrainingJobName", "HyperParameters", "Tags", "CheckpointConfig")
"""What a trial has of its own. Of checkpoints all trials would write the same prefix."""


def tuning_request(
    job: JobSpec, search: JobSearch, settings: SageMakerComputeSettings, *, url: Callable[[str], str]
) -> dict[str, Any]:
    """The request. `url`: the ``s3://`` address of a key or prefix.

    Raises:
        SpecError: the job's name is too long, or a range is none.
    """
    if len(job.name) > MAX_SEARCH_NAME:
        raise SpecError(f"'{job.name}' is no name of a tuning job: expected at most {MAX_SEARCH_NAME} characters.")
    training = training_request(job, settings, url=url)
    algorithm = training["AlgorithmSpecification"]
    watched = [m for m in algorithm.get("MetricDefinitions", ()) if m["Name"] != search.metric]
    objective = {"Name": search.metric, "Regex": metric_regex(search.metric)}
    definition = {name: value for name, value in training.items() if name not in _OF_A_TRIAL}
    definition["AlgorithmSpecification"] = {**algorithm, "MetricDefinitions": [*watched, objective]}
    definition["StaticHyperParameters"] = {
        name: value for name, value in job.hyperparameters.items() if name not in search.ranges
    }
    return {
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobConfig": {
            "Strategy": settings.search_strategy,
            "HyperParameterTuningJobObjective": {
                "Type": "Maximize" if search.maximize else "Minimize",
                "MetricName": search.metric,
            },
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": search.trials,
                "MaxParallelTrainingJobs": min(settings.search_parallel, search.trials),
            },
            "ParameterRanges": _ranges(search.ranges),
            "TrainingJobEarlyStoppingType": "Off",
            "RandomSeed": search.seed,
        },
        "TrainingJobDefinition": definition,
        "Tags": training["Tags"],
    }


def metric_regex(metric: str) -> str:
    """What finds the value of `metric` in a line ``[n] metric: value``."""
    return rf"\[[0-9]+\]\s+{re.escape(metric)}: ([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)"


def _ranges(ranges: Mapping[str, SearchRange]) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name, given in sorted(ranges.items()):
        if given.choices:
            found.setdefault("CategoricalParameterRanges", []).append({"Name": name, "Values": list(given.choices)})
            continue
        low, high = given.low, given.high
        if low is None or high is None or low > high or (given.log and low <= 0):
            raise SpecError(
                f"Range of '{name}': expected low ≤ high" + (", and low > 0 with log" if given.log else "")
                + f"; found {low} … {high}.",
                next_step="Correct search.ranges of the model.",
            )  # fmt: skip
        whole = low.is_integer() and high.is_integer()
        ends = (str(int(low)), str(int(high))) if whole else (repr(low), repr(high))
        scaling = "Logarithmic" if given.log else "Linear"
        kind = "IntegerParameterRanges" if whole else "ContinuousParameterRanges"
        found.setdefault(kind, []).append(
            {"Name": name, "MinValue": ends[0], "MaxValue": ends[1], "ScalingType": scaling}
        )
    return found
