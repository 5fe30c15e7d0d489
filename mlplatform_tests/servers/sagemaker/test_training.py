"""Training jobs on the stand-in, as boto3 asks for them."""

from __future__ import annotations

import io
import json
import tarfile
import time
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount

PROGRAM = """
import os, pathlib
rows = sorted(p.name for p in pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).iterdir())
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(",".join(rows))
print("validation rmse=2.5;")
print("validation rmse=1.5;")
"""


@pytest.fixture
def bucket(ministack_server: Ministack) -> str:
    name = f"test-{uuid.uuid4().hex}"
    boto3.client("s3", **ministack_server.client_options).create_bucket(Bucket=name)
    return name


@pytest.fixture
def client(sagemaker_account: SageMakerAccount) -> Any:
    return boto3.client("sagemaker", **sagemaker_account.client_options)


def image(folder: Path, name: str, program: str) -> str:
    place = folder / "containers" / name
    place.mkdir(parents=True)
    (place / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "job.py"]\n')
    (place / "job.py").write_text(program)
    return f"111122223333.dkr.ecr.us-east-1.amazonaws.com/{name}:1"


def request(image: str, bucket: str, name: str = "job-1", **more: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/", "S3DataDistributionType": "FullyReplicated"}
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "rmse", "Regex": "rmse=([0-9.]+);"}],
        },
        "RoleArn": "arn:aws:iam::111122223333:role/trainer",
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **more,
    }


def ended(client: Any, name: str = "job-1") -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (found := client.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] in (
        "InProgress",
        "Stopping",
    ):
        assert time.monotonic() < deadline, json.dumps(found, default=str)
        time.sleep(0.05)
    return dict(found)


def test_a_job_runs_reads_its_channel_and_leaves_its_model_in_s3(
    client: Any, bucket: str, ministack_server: Ministack, tmp_path: Path
) -> None:
    s3 = boto3.client("s3", **ministack_server.client_options)
    for name in ("a.csv", "b.csv"):
        s3.put_object(Bucket=bucket, Key=f"in/{name}", Body=b"1,2\n")
    client.create_training_job(**request(image(tmp_path, "writes", PROGRAM), bucket))
    found = ended(client)
    assert found["TrainingJobStatus"] == "Completed", found
    steps = [step["Status"] for step in found["SecondaryStatusTransitions"]]
    assert (steps[0], steps[-1]) == ("Starting", "Completed")
    assert [(m["MetricName"], m["Value"]) for m in found["FinalMetricDataList"]] == [("rmse", 1.5)]
    assert found["BillableTimeInSeconds"] >= 1
    uri = found["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{bucket}/out/job-1/output/model.tar.gz"
    body = s3.get_object(Bucket=bucket, Key="out/job-1/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        member = archive.extractfile("model.txt")
        assert member is not None
        assert member.read() == b"a.csv,b.csv"
