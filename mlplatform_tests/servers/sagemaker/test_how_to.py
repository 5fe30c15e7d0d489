"""What the pages on SageMaker show works as they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.spec.prices import read_prices
from mlplatform.spec.profile import Profile
from mlplatform_tests.aws_calls.recorder import listed
from mlplatform_tests.docs.walkthrough import blocks
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import listens, running

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
