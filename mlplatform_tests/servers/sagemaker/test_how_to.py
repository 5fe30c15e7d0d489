"""What the pages on SageMaker show works as they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from mlplatform.adapters.compute.sagemaker import SageMakerCompute
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.spec.prices import read_prices
from mlplatform.spec.profile import Profile
from mlplatform_tests.aws_calls.recorder import listed
from mlplatform_tests.conformance.computes import bucket_store
from mlplatform_tests.docs.walkthrough import blocks
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import listens, running
from mlplatform_tests.servers.sagemaker.events import PROCESSING, TRAINING, TRANSFORM, TUNING
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount
from mlplatform_tests.servers.sagemaker.test_compute import adapter, compute, job, store
from mlplatform_tests.serving.until import until

__all__ = ["compute", "store"]

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"
PAGE = {block.title: block.text for block in blocks(HOW_TO / "sagemaker.md")}
STAND_IN = {block.title: block.text for block in blocks(HOW_TO / "test-with-sagemaker-stand-in.md")}


def test_the_profile_that_is_shown_is_one() -> None:
    profile = Profile.model_validate({"name": "shown", **yaml.safe_load(PAGE["profile"])})
    settings = SageMakerComputeSettings.model_validate(profile.connections["jobs"].settings)
    assert settings.instance_types == {"autogluon": "ml.m5.4xlarge"}


def test_the_prices_that_are_shown_are_a_file_of_prices(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(PAGE["prices"], "utf-8")
    assert read_prices(path).cost("ml.m5.large", 1800) == 0.069


def _allowed(policy: str) -> set[str]:
    """The actions that a policy of the page allows."""
    given = (statement["Action"] for statement in json.loads(PAGE[policy])["Statement"])
    return {action for actions in given for action in ([actions] if isinstance(actions, str) else actions)}


def test_the_policies_that_are_shown_name_what_the_adapter_calls() -> None:
    asked = {call for call in listed()["compute: sagemaker"] if call.startswith("sagemaker:")}
    searches = {call for call in asked if "HyperParameterTuningJob" in call}
    assert len(searches) == 5
    assert searches == {action for action in _allowed("searcher") if action.startswith("sagemaker:")}
    scores = {call for call in asked if "Model" in call or "TransformJob" in call}
    assert scores == _allowed("scorer")
    processing = {call for call in asked if "ProcessingJob" in call}
    assert processing == _allowed("processor")
    assert asked - searches - scores - processing <= _allowed("runner")
    assert json.loads(PAGE["role"])["Version"] == "2012-10-17"


def test_the_queue_that_is_shown_ends_the_wait_for_a_job(
    sagemaker_account: SageMakerAccount, ministack_server: Ministack, tmp_path: Path, compute: SageMakerCompute
) -> None:
    assert compute
    client: Any = boto3.client("cloudformation", **ministack_server.client_options)
    name = f"jobs-{uuid.uuid4().hex[:12]}"
    parameters = [{"ParameterKey": "Name", "ParameterValue": name}]
    client.create_stack(StackName=name, TemplateBody=PAGE["events"], Parameters=parameters)
    until(lambda: client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE", timeout_s=30)
    [output] = client.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    store = bucket_store(ministack_server)
    # A look without an event would come after the test's own time.
    waits = adapter(sagemaker_account, tmp_path, store, events_queue=output["OutputValue"], poll_s=3600.0)
    assert waits.run(job()).status == "Completed"
    sqs: Any = boto3.client("sqs", **ministack_server.client_options)
    told = sqs.get_queue_attributes(QueueUrl=output["OutputValue"], AttributeNames=["All"])["Attributes"]
    [statement] = json.loads(told["Policy"])["Statement"]
    assert statement["Resource"] == told["QueueArn"]
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(f":rule/{name}")


def test_the_events_that_are_shown_are_those_of_every_kind_of_job() -> None:
    pattern = json.loads(PAGE["events"])["Resources"]["Rule"]["Properties"]["EventPattern"]
    assert set(pattern["detail-type"]) == {TRAINING, TUNING, PROCESSING, TRANSFORM}


@pytest.mark.slow
def test_the_tests_that_are_shown_pass(tmp_path: Path) -> None:
    for name in ("conftest.py", "test_training.py"):
        (tmp_path / name).write_text(STAND_IN[name])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    found = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[3], timeout=120, check=False
    )
    assert "1 passed" in found.stdout, found.stdout + found.stderr


def test_the_command_that_is_shown_starts_both_and_says_how_to_find_them(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    command = [
        sys.executable,
        "-m",
        "mlplatform_tests.servers.sagemaker",
        "--port",
        str(port),
        "--folder",
        str(tmp_path / "standin"),
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with running(command, ready=lambda: listens(port), log=log, env=env):
        told = dict(line.removeprefix("export ").split("=", 1) for line in log.read_text().splitlines() if line)
        keys = {"aws_access_key_id": told["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": "test"}
        place = {"region_name": told["AWS_REGION"], **keys}
        client: Any = boto3.client("sagemaker", endpoint_url=told["AWS_ENDPOINT_URL_SAGEMAKER"], **place)
        assert client.list_training_jobs()["TrainingJobSummaries"] == []
        assert boto3.client("s3", endpoint_url=told["AWS_ENDPOINT_URL"], **place).list_buckets()["Buckets"] == []
