"""Batch transform on the stand-in: one output an object, records in their order."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from mlplatform.errors import DataError
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.record_filter import batches, check_path, chosen
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount
from mlplatform_tests.servers.sagemaker.test_training import image

SERVER = """
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.say(200 if self.path == "/ping" else 404, b"")
    def do_POST(self):
        rows = self.rfile.read(int(self.headers["Content-Length"])).decode().splitlines()
        if any("bad" in row for row in rows):
            return self.say(400, b"no number")
        sums = [str(sum(float(v) for v in row.split(","))) for row in rows]
        self.say(200, ("\\n".join(sums) + "\\n").encode())
    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        print("asked", flush=True)

assert os.environ["SAGEMAKER_BATCH"] == "true"
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def s3(ministack_server: Ministack) -> Any:
    return boto3.client("s3", **ministack_server.client_options)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"test-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="in/a.csv", Body=b"x,1,2\ny,3,4\n")
    s3.put_object(Bucket=name, Key="in/deep/b.csv", Body=b"z,5,6\n")
    return name


@pytest.fixture
def client(sagemaker_account: SageMakerAccount, tmp_path: Path) -> Any:
    found: Any = boto3.client("sagemaker", **sagemaker_account.client_options)
    container = {"Image": image(tmp_path, "sums", SERVER)}
    role = "arn:aws:iam::111122223333:role/serving"
    found.create_model(ModelName="sums", PrimaryContainer=container, ExecutionRoleArn=role)
    return found


def request(bucket: str, **more: Any) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/in/"}}
    return {
        "TransformJobName": "job-1",
        "ModelName": "sums",
        "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://{bucket}/out", "AssembleWith": "Line", "Accept": "text/csv"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "DataProcessing": {"InputFilter": "$[1:]"},
        **more,
    }


def ended(client: Any) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        found: dict[str, Any] = client.describe_transform_job(TransformJobName="job-1")
        if found["TransformJobStatus"] not in ("InProgress", "Stopping"):
            return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


def outputs(s3: Any, bucket: str) -> dict[str, bytes]:
    found = s3.list_objects_v2(Bucket=bucket, Prefix="out/").get("Contents", ())
    return {entry["Key"]: s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read() for entry in found}


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_each_object_has_an_output_with_its_records_in_order(client: Any, s3: Any, bucket: str, strategy: str) -> None:
    client.create_transform_job(**request(bucket, BatchStrategy=strategy, MaxConcurrentTransforms=2))
    assert ended(client)["TransformJobStatus"] == "Completed"
    assert outputs(s3, bucket) == {"out/a.csv.out": b"3.0\n7.0\n", "out/deep/b.csv.out": b"11.0\n"}


def test_an_output_may_have_its_input_beside_it(client: Any, s3: Any, bucket: str) -> None:
    processing = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,3]"}
    client.create_transform_job(**request(bucket, DataProcessing=processing))
    assert ended(client)["TransformJobStatus"] == "Completed"
    assert outputs(s3, bucket)["out/a.csv.out"] == b"x,3.0\ny,7.0\n"


def test_an_object_that_the_model_refuses_has_no_output_and_fails_the_job(client: Any, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="in/c.csv", Body=b"x,1,2\nx,bad,1\n")
    client.create_transform_job(**request(bucket, BatchStrategy="SingleRecord"))
    found = ended(client)
    assert found["TransformJobStatus"] == "Failed"
    assert "The model answered 400: no number" in found["FailureReason"]
    assert sorted(outputs(s3, bucket)) == ["out/a.csv.out"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ModelName": "none"}, "Could not find model"),
        ({"DataProcessing": {"InputFilter": "$[1:2]"}}, "has no path"),
        ({"MaxConcurrentTransforms": 50}, "must be at most 100 MB"),
        ({"BatchStrategy": "Both"}, "enum value set"),
    ],
)
def test_a_request_that_cannot_be_done_is_refused(client: Any, bucket: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError, match=said):
        client.create_transform_job(**request(bucket, **changes))


def test_records_are_packed_until_the_payload_is_full() -> None:
    data = b"aa\nbb\ncc\n"
    assert list(batches(data, "None", "MultiRecord", 100)) == [data]
    assert list(batches(data, "Line", "MultiRecord", 5)) == [b"aa\nbb", b"cc"]
    assert list(batches(data, "Line", "SingleRecord", 5)) == [b"aa", b"bb", b"cc"]
    with pytest.raises(DataError, match="A record has 2 bytes"):
        list(batches(data, "Line", "MultiRecord", 1))


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        (["a", "b", "c"], "$[1:]", ["b", "c"]),
        (["a", "b", "c"], "$[2,0]", ["c", "a"]),
        ({"a": 1, "b": 2}, "$.a", 1),
        ({"a": 1, "b": 2, "c": 3}, "$['a','c']", {"a": 1, "c": 3}),
        ({"a": 1}, "$", {"a": 1}),
    ],
)
def test_a_path_chooses_a_part_of_a_record(value: Any, path: str, expected: Any) -> None:
    check_path(path)
    assert chosen(value, path) == expected
