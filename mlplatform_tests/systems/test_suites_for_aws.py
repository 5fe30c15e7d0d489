"""What `make test-aws` runs on AWS itself passes on its stand-ins, and leaves nothing; without being asked for it is skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from mlplatform_tests.aws.conftest import why_not
from mlplatform_tests.systems.aws_profile import AwsProject

ROOT = Path(__file__).parents[2]


def test_it_is_said_why_they_are_skipped() -> None:
    assert "MLPLATFORM_TEST_AWS=yes" in why_not({}, credentials=True)
    asked = {"MLPLATFORM_TEST_AWS": "yes"}
    assert "no credentials" in why_not(asked, credentials=False)
    assert "MLPLATFORM_BUCKET" in why_not(asked, credentials=True)
    assert why_not({**asked, "MLPLATFORM_BUCKET": "mine"}, credentials=True) == ""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_they_pass_on_the_stand_ins_and_leave_nothing(aws: AwsProject, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    command += [f"--basetemp={tmp_path / 'inner'}", "mlplatform_tests/aws"]
    env = {**os.environ, **aws.env, "MLPLATFORM_TEST_AWS": "yes"}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=850)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "skipped" not in done.stdout
    left = boto3.client("s3").list_objects_v2(Bucket=aws.bucket).get("Contents", [])
    assert [found["Key"] for found in left] == []
    assert [t for t in boto3.client("dynamodb").list_tables()["TableNames"] if t.startswith("mlplatform-test-")] == []
    assert [s for s in boto3.client("kinesis").list_streams()["StreamNames"] if "mlplatform-test-" in s] == []
    client = boto3.client("sagemaker", **aws.account.client_options)
    assert client.list_endpoints()["Endpoints"] == []
    assert client.list_training_jobs()["TrainingJobSummaries"] == []
