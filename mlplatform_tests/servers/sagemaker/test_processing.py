"""Processing jobs on the stand-in, as boto3 asks for them."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount
from mlplatform_tests.servers.sagemaker.test_training import image

SCRIPT = """
import json, os, pathlib, sys
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
source, target = (pathlib.Path(path) for path in sys.argv[1:3])
config = json.loads((base / "config/processingjobconfig.json").read_text())
assert config["ProcessingInputs"][0]["S3Input"]["LocalPath"] == str(source), config
host = json.loads((base / "config/resourceconfig.json").read_text())["current_host"]
names = sorted(p.name for p in source.iterdir())
(target / f"{host}.txt").write_text(",".join(names))
print(f"{host} saw {len(names)}")
(base / "output/message").write_text("all good")
"""


@pytest.fixture
def s3(ministack_server: Ministack) -> Any:
    return boto3.client("s3", **ministack_server.client_options)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"test-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    for key in ("a.csv", "b.csv", "c.csv"):
        s3.put_object(Bucket=name, Key=f"in/{key}", Body=b"1,2\n")
    return name


@pytest.fixture
def client(sagemaker_account: SageMakerAccount) -> Any:
    return boto3.client("sagemaker", **sagemaker_account.client_options)


def request(uri: str, bucket: str, **more: Any) -> dict[str, Any]:
    source = {
        "S3Uri": f"s3://{bucket}/in/",
        "LocalPath": "/opt/ml/processing/in",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "ShardedByS3Key",
    }
    target = {"S3Uri": f"s3://{bucket}/out/", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
    return {
        "ProcessingJobName": "job-1",
        "ProcessingInputs": [{"InputName": "in", "S3Input": source}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": target}]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "AppSpecification": {
            "ImageUri": uri,
            "ContainerArguments": ["/opt/ml/processing/in", "/opt/ml/processing/out"],
        },
        "RoleArn": "arn:aws:iam::111122223333:role/processor",
        **more,
    }


def ended(client: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        found: dict[str, Any] = client.describe_processing_job(ProcessingJobName="job-1")
        if found["ProcessingJobStatus"] not in ("InProgress", "Stopping"):
            return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_hosts_share_the_inputs_and_their_outputs_and_message_come_back(
    client: Any, s3: Any, bucket: str, tmp_path: Path, ministack_server: Ministack
) -> None:
    client.create_processing_job(**request(image(tmp_path, "counts", SCRIPT), bucket))
    found = ended(client)
    assert found["ProcessingJobStatus"] == "Completed", found
    assert found["ExitMessage"] == "all good"
    assert found["ProcessingStartTime"] <= found["ProcessingEndTime"]
    said = {name: s3.get_object(Bucket=bucket, Key=f"out/{name}.txt")["Body"].read() for name in ("algo-1", "algo-2")}
    assert said == {"algo-1": b"a.csv,c.csv", "algo-2": b"b.csv"}
    logs = boto3.client("logs", **ministack_server.client_options)
    streams = logs.describe_log_streams(logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix="job-1/")
    assert len(streams["logStreams"]) == 2
    assert [job["ProcessingJobName"] for job in client.list_processing_jobs()["ProcessingJobSummaries"]] == ["job-1"]


def test_a_script_among_the_inputs_is_run_by_an_entrypoint(client: Any, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="code/run.py", Body=SCRIPT.encode())
    uri = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
    made = request(uri, bucket)
    code = {**made["ProcessingInputs"][0]["S3Input"], "S3Uri": f"s3://{bucket}/code/run.py"}
    code |= {"LocalPath": "/opt/ml/processing/code", "S3DataDistributionType": "FullyReplicated"}
    made["ProcessingInputs"].append({"InputName": "code", "S3Input": code})
    made["AppSpecification"]["ContainerEntrypoint"] = ["python3", "/opt/ml/processing/code/run.py"]
    client.create_processing_job(**made)
    assert ended(client)["ProcessingJobStatus"] == "Completed"
    assert s3.get_object(Bucket=bucket, Key="out/algo-2.txt")["Body"].read() == b"b.csv"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; print('no such column'); sys.exit(3)", "AlgorithmError: no such column, exit code: 3"),
        (
            "import os; open(os.environ['SAGEMAKER_BASE_DIR'] + '/output/message', 'w').write('x' * 1025)",
            "ClientError: The exit message is longer than 1024 bytes.",
        ),
    ],
)
def test_a_job_that_fails_says_why(client: Any, bucket: str, tmp_path: Path, program: str, said: str) -> None:
    client.create_processing_job(**request(image(tmp_path, "fails", program), bucket))
    found = ended(client)
    assert (found["ProcessingJobStatus"], found["FailureReason"]) == ("Failed", said)


def test_a_running_job_is_stopped_on_request_and_by_its_limit(client: Any, bucket: str, tmp_path: Path) -> None:
    uri = image(tmp_path, "sleeps", "import time; time.sleep(600)")
    client.create_processing_job(**request(uri, bucket))
    client.stop_processing_job(ProcessingJobName="job-1")
    assert ended(client)["ProcessingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="in status Stopped"):
        client.stop_processing_job(ProcessingJobName="job-1")
    with pytest.raises(client.exceptions.ResourceInUse):
        client.create_processing_job(**request(uri, bucket))


def test_inputs_that_are_not_there_fail_the_job(client: Any, s3: Any, bucket: str, tmp_path: Path) -> None:
    made = request(image(tmp_path, "counts", SCRIPT), bucket)
    made["ProcessingInputs"][0]["S3Input"]["S3Uri"] = f"s3://{bucket}/nothing/"
    client.create_processing_job(**made)
    assert "No S3 objects found under S3 URL" in ended(client)["FailureReason"]


def test_paths_outside_opt_ml_are_refused(client: Any, bucket: str, tmp_path: Path) -> None:
    made = request(image(tmp_path, "counts", SCRIPT), bucket)
    made["ProcessingInputs"][0]["S3Input"]["LocalPath"] = "/data"
    with pytest.raises(ClientError, match="LocalPath must begin with /opt/ml/"):
        client.create_processing_job(**made)
    assert json.dumps(client.list_processing_jobs()["ProcessingJobSummaries"]) == "[]"
