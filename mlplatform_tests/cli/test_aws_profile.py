"""The shipped profile `aws`: what is missing is said, and a wrong value is told by the variable it stands in."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from mlplatform.adapters.compute.sagemaker_request import image_of
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.endpoints.sagemaker_settings import SageMakerEndpointSettings
from mlplatform.adapters.object_store.s3 import S3Settings
from mlplatform.errors import ProfileError
from mlplatform.platform import connections
from mlplatform.spec.home import Home
from mlplatform.spec.profile import load_profile
from mlplatform.spec.scaffold import make_project
from mlplatform_tests.cli.commands import Shell, make_shell
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.server import Ministack

__all__ = ["ministack_server"]

PROFILES = Path(__file__).parents[2] / "profiles"


@pytest.fixture
def shell(ministack_server: Ministack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Of nothing but the item store's place."""
    # boto3 keeps a session, which read the environment when it was made.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    own = {
        "MLPLATFORM_PROFILE": "aws",
        "MLPLATFORM_TABLE": f"items-{tmp_path.name}",
        "AWS_ENDPOINT_URL": ministack_server.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    return Shell(make_shell(tmp_path).root, own)


def test_plan_says_what_the_environment_lacks(shell: Shell) -> None:
    done = shell.run("plan", "stock_prices")
    assert (done.code, done.err) == (0, "")
    assert [line for line in done.out.splitlines() if "missing here" in line] == [
        f"  ! missing here: connection '{name}' of profile 'aws': settings.{setting} needs {variable} in the environment."
        for name, setting, variable in (
            ("endpoints", "role_arn", "MLPLATFORM_SERVING_ROLE"),
            ("endpoints", "image", "MLPLATFORM_SERVING_IMAGE"),
            ("jobs", "role_arn", "MLPLATFORM_JOBS_ROLE"),
            ("jobs", "image", "MLPLATFORM_IMAGES"),
            ("notifications", "topic_arn", "MLPLATFORM_TOPIC"),
            ("objects", "bucket", "MLPLATFORM_BUCKET"),
            ("warehouse", "workgroup", "MLPLATFORM_REDSHIFT_WORKGROUP"),
        )
    ]


def test_a_check_of_the_state_says_so_too(shell: Shell) -> None:
    done = shell.run("state", "check", "--json")
    assert done.code == 12
    bad = {found["what"]: found["detail"] for found in done.json if not found["ok"]}
    assert bad["connection objects"] == "settings.bucket needs MLPLATFORM_BUCKET in the environment"
    assert "MLPLATFORM_REDSHIFT_WORKGROUP" in bad["table stock_prices/stock_table"]


def test_a_command_that_needs_it_names_it(shell: Shell) -> None:
    done = shell.run("query", "stock_prices", "SELECT 1", "--json")
    assert done.code == 4
    assert "MLPLATFORM_REDSHIFT_WORKGROUP" in done.error["message"]


def test_a_wrong_value_is_told_by_its_variable(tmp_path: Path) -> None:
    env = {"MLPLATFORM_PROFILE": "aws", "MLPLATFORM_TABLE": "x"}
    items = load_profile(env, [PROFILES]).connection("items", port="item_store")
    with pytest.raises(ProfileError, match=r"table[\s\S]*; in the environment, table is MLPLATFORM_TABLE"):
        connections.item_store(items, Home(tmp_path))


def test_the_key_of_the_objects_is_the_environments() -> None:
    env = {"MLPLATFORM_PROFILE": "aws", "MLPLATFORM_BUCKET": "lake"}
    found = [
        S3Settings.model_validate(load_profile(each, [PROFILES]).connection("objects", port="object_store").settings)
        for each in (env, {**env, "MLPLATFORM_KMS_KEY": "alias/lake"})
    ]
    assert [settings.kms_key for settings in found] == ["", "alias/lake"]


def test_images_and_sizes_are_the_environments(tmp_path: Path) -> None:
    own = {
        "MLPLATFORM_JOBS_ROLE": "arn:aws:iam::111122223333:role/jobs",
        "MLPLATFORM_IMAGES": "111122223333.dkr.ecr.us-east-1.amazonaws.com/ml",
        "MLPLATFORM_IMAGE_TAG": "2026-03",
        "MLPLATFORM_SERVING_ROLE": "arn:aws:iam::111122223333:role/serving",
        "MLPLATFORM_SERVING_IMAGE": "111122223333.dkr.ecr.us-east-1.amazonaws.com/serve:1",
        "MLPLATFORM_SERVING_INSTANCES": "3",
    }
    profile = load_profile({"MLPLATFORM_PROFILE": "aws", **own}, [PROFILES])
    jobs = SageMakerComputeSettings.model_validate(profile.connection("jobs", port="compute").settings)
    assert image_of("xgboost", jobs) == "111122223333.dkr.ecr.us-east-1.amazonaws.com/ml/xgboost:2026-03"
    assert (jobs.instance_type, jobs.events_queue) == ("ml.m5.large", "")
    served = SageMakerEndpointSettings.model_validate(profile.connection("endpoints", port="endpoints").settings)
    assert (served.sizing.instance_type, served.sizing.instance_count) == ("ml.m5.large", 3)


def test_a_project_of_ones_own_has_it_too(tmp_path: Path) -> None:
    made = make_project("shop", tmp_path / "shop")
    shell = Shell(tmp_path / "elsewhere", {"MLPLATFORM_PROFILE": "aws", "MLPLATFORM_DEFS": str(made.defs)})
    assert shell.platform().profile.name == "aws"
    assert '"aws"' in shell.run("state", "version", "--json").out
