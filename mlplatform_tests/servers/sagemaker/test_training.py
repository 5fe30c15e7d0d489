"""Training jobs on the stand-in, as boto3 asks for them."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from mlplatform.adapters.compute.process import ProcessId
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount, sagemaker

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


@pytest.fixture
def put_rows(bucket: str, ministack_server: Ministack) -> None:
    boto3.client("s3", **ministack_server.client_options).put_object(Bucket=bucket, Key="in/a.csv", Body=b"1,2\n")


def wait_for(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def log_of(folder: Path) -> str:
    path = folder / "jobs/job-1/job.log"
    return path.read_text() if path.exists() else ""


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


def piped(mode: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://lake/in/"}
    return {"ChannelName": "train", "InputMode": mode, "DataSource": {"S3DataSource": source}}


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


def test_a_name_is_used_once_until_its_job_is_deleted(client: Any, bucket: str, put_rows: None, tmp_path: Path) -> None:
    made = request(image(tmp_path, "writes", PROGRAM), bucket)
    client.create_training_job(**made)
    with pytest.raises(client.exceptions.ResourceInUse, match="Job name must be unique"):
        client.create_training_job(**made)
    ended(client)
    client.delete_training_job(TrainingJobName="job-1")
    with pytest.raises(ClientError, match="Requested resource not found"):
        client.describe_training_job(TrainingJobName="job-1")
    client.create_training_job(**made)
    assert ended(client)["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 9}}, "only for jobs with Enable"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 99, "VolumeSizeInGB": 1}}, "service limit"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.giant", "InstanceCount": 1, "VolumeSizeInGB": 1}}, "enum value set"),
        ({"RoleArn": "arn:aws:iam::1:group/abcdefgh"}, "regular expression pattern"),
        ({"HyperParameters": {"k": "v" * 2501}}, "less than or equal to 2500"),
        ({"InputDataConfig": [piped("Pipe")]}, "knows InputMode File only, not Pipe"),
        ({"AlgorithmSpecification": {"TrainingImage": "x/none:1", "TrainingInputMode": "File"}}, "image x/none:1 not found"),
    ],
)  # fmt: skip
def test_a_request_that_sagemaker_refuses_is_refused(
    client: Any, bucket: str, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        client.create_training_job(**request(image(tmp_path, "writes", PROGRAM), bucket, **changes))
    assert client.list_training_jobs()["TrainingJobSummaries"] == []


def test_a_stopped_job_s_model_is_what_it_had_until_then(
    client: Any, bucket: str, put_rows: None, ministack_server: Ministack, tmp_path: Path
) -> None:
    program = PROGRAM + "import time; print('written', flush=True); time.sleep(600)"
    client.create_training_job(**request(image(tmp_path, "writes", program), bucket))
    wait_for(lambda: "written" in log_of(tmp_path))
    client.stop_training_job(TrainingJobName="job-1")
    found = ended(client)
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Stopped", "Stopped")
    s3 = boto3.client("s3", **ministack_server.client_options)
    assert s3.head_object(Bucket=bucket, Key="out/job-1/output/model.tar.gz")["ContentLength"] > 0
    with pytest.raises(ClientError, match="is in status Stopped"):
        client.stop_training_job(TrainingJobName="job-1")


def test_a_spot_job_that_loses_its_machine_goes_on_from_its_checkpoints(
    client: Any, bucket: str, put_rows: None, sagemaker_account: SageMakerAccount, tmp_path: Path
) -> None:
    program = """
        import os, pathlib, time, json
        at = pathlib.Path(json.load(open(os.environ["SM_INPUT_CONFIG_DIR"] + "/checkpointconfig.json"))["LocalPath"])
        if not (at / "first").exists():
            (at / "first").write_text("1")
            print("written", flush=True)
            time.sleep(600)
        print("goes on")
    """
    made = request(
        image(tmp_path, "spots", textwrap.dedent(program)),
        bucket,
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
        CheckpointConfig={"S3Uri": f"s3://{bucket}/kept"},
    )
    client.create_training_job(**made)
    wait_for(lambda: "written" in log_of(tmp_path))
    sagemaker_account.expect("interruption")
    found = ended(client)
    assert found["TrainingJobStatus"] == "Completed"
    steps = [step["Status"] for step in found["SecondaryStatusTransitions"]]
    assert "Interrupted" in steps
    assert steps.count("Training") == 2
    assert "goes on" in log_of(tmp_path)


def test_a_script_for_script_mode_runs_with_its_hyperparameters_as_arguments(
    client: Any, bucket: str, put_rows: None, ministack_server: Ministack
) -> None:
    script = b"import sys, os; print(sys.argv[1:]); open(os.environ['SM_MODEL_DIR'] + '/m', 'w').write('1')"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("train.py")
        member.size = len(script)
        archive.addfile(member, io.BytesIO(script))
    s3 = boto3.client("s3", **ministack_server.client_options)
    s3.put_object(Bucket=bucket, Key="source.tar.gz", Body=packed.getvalue())
    uri = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
    given = {
        "max-depth": "6",
        "names": '"a b"',
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": f'"s3://{bucket}/source.tar.gz"',
    }
    definitions = {"MetricDefinitions": [{"Name": "args", "Regex": "'--max-depth', '([0-9]+)', '--names', 'a b'"}]}
    algorithm = {"TrainingImage": uri, "TrainingInputMode": "File", **definitions}
    client.create_training_job(**request(uri, bucket, HyperParameters=given, AlgorithmSpecification=algorithm))
    found = ended(client)
    assert found["TrainingJobStatus"] == "Completed", found
    assert [m["Value"] for m in found["FinalMetricDataList"]] == [6.0]


def test_jobs_are_listed_by_pages_and_found_by_name_status_and_tag(
    client: Any, bucket: str, put_rows: None, tmp_path: Path
) -> None:
    uri = image(tmp_path, "writes", PROGRAM)
    for number in range(3):
        tags = [{"Key": "system", "Value": "a" if number else "b"}]
        client.create_training_job(**request(uri, bucket, f"job-{number}", Tags=tags))
    for number in range(3):
        ended(client, f"job-{number}")
    pages = client.get_paginator("list_training_jobs").paginate(PaginationConfig={"PageSize": 2})
    names = [[job["TrainingJobName"] for job in page["TrainingJobSummaries"]] for page in pages]
    assert names == [["job-2", "job-1"], ["job-0"]]
    some = client.list_training_jobs(NameContains="-1", StatusEquals="Completed")["TrainingJobSummaries"]
    assert [job["TrainingJobName"] for job in some] == ["job-1"]
    filters = {"Filters": [{"Name": "Tags.system", "Operator": "Equals", "Value": "a"}]}
    results = client.search(Resource="TrainingJob", SearchExpression=filters)["Results"]
    assert {result["TrainingJob"]["TrainingJobName"] for result in results} == {"job-1", "job-2"}


def test_calls_beyond_the_rate_are_throttled(
    bucket: str, put_rows: None, sagemaker_account: SageMakerAccount, tmp_path: Path
) -> None:
    once: Any = Config(retries={"total_max_attempts": 1})
    client: Any = boto3.client("sagemaker", **sagemaker_account.client_options, config=once)
    uri = image(tmp_path, "writes", PROGRAM)
    sagemaker_account.limit("CreateTrainingJob", 0.001)
    client.create_training_job(**request(uri, bucket))
    with pytest.raises(ClientError, match=r"ThrottlingException.*Rate exceeded"):
        client.create_training_job(**request(uri, bucket, "job-2"))
    sagemaker_account.mend()
    client.create_training_job(**request(uri, bucket, "job-2"))
    assert sagemaker_account.calls.count("CreateTrainingJob") == 3


def test_resume_after_the_stand_in_was_killed_has_its_jobs_and_fails_what_ran(
    ministack_server: Ministack, bucket: str, put_rows: None, tmp_path: Path
) -> None:
    program = PROGRAM + "import time; print('written', flush=True); time.sleep(600)"
    with sagemaker(tmp_path, ministack_server.endpoint_url) as server:
        account = server.account(tmp_path / "account", "one")
        client: Any = boto3.client("sagemaker", **account.client_options)
        uri = image(tmp_path / "account", "writes", program)
        client.create_training_job(**request(uri, bucket))
        wait_for(lambda: "written" in log_of(tmp_path / "account"))
    with sagemaker(tmp_path, ministack_server.endpoint_url) as server:
        account = server.account(tmp_path / "account", "one")
        client = boto3.client("sagemaker", **account.client_options)
        found = ended(client)
    assert found["TrainingJobStatus"] == "Failed"
    assert found["FailureReason"].startswith("InternalServerError")
    runner = json.loads((tmp_path / "account/jobs/job-1/describe.json").read_text())
    assert not ProcessId(**runner["Local"]["Session"]).alive()


def test_a_job_reaches_aws_by_its_role(client: Any, bucket: str, put_rows: None, tmp_path: Path) -> None:
    program = """
        import boto3, os
        assert "AWS_ACCESS_KEY_ID" not in os.environ
        names = [b["Name"] for b in boto3.client("s3").list_buckets()["Buckets"]]
        print(f"validation rmse={len(names)};")
    """
    client.create_training_job(**request(image(tmp_path, "reaches", textwrap.dedent(program)), bucket))
    found = ended(client)
    assert found["TrainingJobStatus"] == "Completed", found
    assert found["FinalMetricDataList"][0]["Value"] >= 1
