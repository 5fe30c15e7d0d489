"""Tuning jobs on the stand-in: trials are training jobs, the best one is that whose last value was."""

from __future__ import annotations

import itertools
import time
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from mlplatform.errors import SpecError
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount
from mlplatform_tests.servers.sagemaker.test_training import image
from mlplatform_tests.servers.sagemaker.tuning_search import check, trials

PROGRAM = """
import json, os
given = json.loads(os.environ["SM_HPS"])
assert given["_tuning_objective_metric"] == "loss"
print("loss=99;")
print(f"loss={abs(float(given['x']) - 2)};")
"""
GRID = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["0", "2", "5"]}]}


@pytest.fixture
def client(sagemaker_account: SageMakerAccount) -> Any:
    return boto3.client("sagemaker", **sagemaker_account.client_options)


@pytest.fixture
def bucket(ministack_server: Ministack) -> str:
    name = f"test-{uuid.uuid4().hex}"
    boto3.client("s3", **ministack_server.client_options).create_bucket(Bucket=name)
    return name


def request(
    uri: str, bucket: str, *, ranges: dict[str, Any] = GRID, strategy: str = "Grid", **more: Any
) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": "tune-1",
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": ranges,
            **more,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {"rounds": "3"},
            "AlgorithmSpecification": {
                "TrainingImage": uri,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+);"}],
            },
            "RoleArn": "arn:aws:iam::111122223333:role/trainer",
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
    }


def ended(client: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while True:
        found: dict[str, Any] = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="tune-1")
        if found["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping"):
            return found
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_grid_is_tried_whole_and_the_best_trial_is_named(client: Any, bucket: str, tmp_path: Path) -> None:
    client.create_hyper_parameter_tuning_job(**request(image(tmp_path, "tunes", PROGRAM), bucket))
    found = ended(client)
    assert found["HyperParameterTuningJobStatus"] == "Completed", found
    assert found["TrainingJobStatusCounters"]["Completed"] == 3
    best = found["BestTrainingJob"]
    assert best["TunedHyperParameters"] == {"x": "2"}
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.0
    listed = client.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="tune-1", SortBy="FinalObjectiveMetricValue", SortOrder="Ascending"
    )["TrainingJobSummaries"]
    assert [job["TunedHyperParameters"]["x"] for job in listed] == ["2", "0", "5"]
    described = client.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert described["TuningJobArn"] == found["HyperParameterTuningJobArn"]
    assert described["HyperParameters"] == {"rounds": "3", "x": "2", "_tuning_objective_metric": "loss"}
    summaries = client.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    assert [job["HyperParameterTuningJobName"] for job in summaries] == ["tune-1"]


def test_a_target_that_is_met_ends_the_search(client: Any, bucket: str, tmp_path: Path) -> None:
    made = request(
        image(tmp_path, "tunes", PROGRAM),
        bucket,
        strategy="Random",
        ranges={"ContinuousParameterRanges": [{"Name": "x", "MinValue": "1.9", "MaxValue": "2.1"}]},
        ResourceLimits={"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 1},
        TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 0.5},
        RandomSeed=3,
    )
    client.create_hyper_parameter_tuning_job(**made)
    found = ended(client)
    assert found["HyperParameterTuningJobStatus"] == "Completed"
    assert found["TrainingJobStatusCounters"]["Completed"] == 1


def test_a_stopped_search_stops_its_trials(client: Any, bucket: str, tmp_path: Path) -> None:
    client.create_hyper_parameter_tuning_job(
        **request(image(tmp_path, "sleeps", "import time; time.sleep(600)"), bucket)
    )
    client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="tune-1")
    found = ended(client)
    assert found["HyperParameterTuningJobStatus"] == "Stopped"
    assert found["TrainingJobStatusCounters"]["InProgress"] == 0


def test_a_search_none_of_whose_trials_completes_fails(client: Any, bucket: str, tmp_path: Path) -> None:
    client.create_hyper_parameter_tuning_job(**request(image(tmp_path, "fails", "raise SystemExit(1)"), bucket))
    found = ended(client)
    assert found["HyperParameterTuningJobStatus"] == "Failed"
    assert found["TrainingJobStatusCounters"]["NonRetryableError"] == 3


def test_an_objective_that_nothing_emits_is_refused(client: Any, bucket: str, tmp_path: Path) -> None:
    made = request(image(tmp_path, "tunes", PROGRAM), bucket)
    made["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"] = []
    with pytest.raises(ClientError, match="The objective 'loss' is none of the MetricDefinitions"):
        client.create_hyper_parameter_tuning_job(**made)


def test_values_at_random_are_within_their_ranges_and_the_same_for_a_seed() -> None:
    ranges = {
        "ContinuousParameterRanges": [
            {"Name": "a", "MinValue": "0.001", "MaxValue": "1", "ScalingType": "Logarithmic"},
            {"Name": "b", "MinValue": "0.5", "MaxValue": "0.99", "ScalingType": "ReverseLogarithmic"},
        ],
        "IntegerParameterRanges": [{"Name": "c", "MinValue": "1", "MaxValue": "3"}],
        "CategoricalParameterRanges": [{"Name": "d", "Values": ["x", "y"]}],
    }
    config = {"Strategy": "Random", "RandomSeed": 7}
    check(config, ranges)
    found = list(itertools.islice(trials(config, ranges), 200))
    assert found == list(itertools.islice(trials(config, ranges), 200))
    assert {values["c"] for values in found} == {"1", "2", "3"}
    assert {values["d"] for values in found} == {"x", "y"}
    assert all(0.001 <= float(values["a"]) <= 1 and 0.5 <= float(values["b"]) <= 0.99 for values in found)
    assert sum(float(values["a"]) < 0.0316 for values in found) == pytest.approx(100, abs=30)


@pytest.mark.parametrize(
    ("strategy", "ranges", "said"),
    [
        ("Grid", {"IntegerParameterRanges": [{"Name": "c", "MinValue": "1", "MaxValue": "3"}]}, "categorical parameters only"),
        ("Random", {}, "no parameter to tune"),
        ("Random", {"IntegerParameterRanges": [{"Name": "c", "MinValue": "4", "MaxValue": "3"}]}, "is above MaxValue"),
        (
            "Random",
            {"ContinuousParameterRanges": [{"Name": "c", "MinValue": "0", "MaxValue": "3", "ScalingType": "Logarithmic"}]},
            "begins above 0",
        ),
    ],
)  # fmt: skip
def test_ranges_that_are_none_are_refused(strategy: str, ranges: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check({"Strategy": strategy}, ranges)
