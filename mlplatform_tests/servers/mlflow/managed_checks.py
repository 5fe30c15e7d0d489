"""What holds of a server that SageMaker manages beside the port's suite; run where AWS's plugin is on the path."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlplatform.adapters.tracking.mlflow_settings import MlflowSettings
from mlplatform.errors import PermissionDeniedError, PlatformError
from mlplatform_tests.conformance.trackings import ARN, MODEL, run_of, server_tracking, stage
from mlplatform_tests.servers.mlflow.server import MlflowServer


@pytest.fixture(autouse=True)
def emptied(managed_server: MlflowServer) -> None:
    managed_server.empty()


def test_packages_lie_in_the_servers_bucket_and_no_link_is_made_up(tmp_path: Path, packages: dict[str, Path]) -> None:
    tracking = server_tracking(MlflowSettings(server=ARN), tmp_path)
    digest = stage(tracking, packages)
    run = tracking._required(MODEL, digest)
    assert tracking._source(run).startswith("s3://")
    assert tracking._candidate(MODEL, digest, run).run_url == f"runs:/{run.info.run_id}"


def test_a_bucket_that_is_not_there_is_told_by_s3s_own_words(tmp_path: Path, packages: dict[str, Path]) -> None:
    tracking = server_tracking(MlflowSettings(server=ARN), tmp_path)
    tracking._client.create_experiment("stock_prices-lost", artifact_location="s3://nobody-has-this-bucket/a")
    digest, package = next(iter(packages.items()))
    with pytest.raises(PlatformError, match=r"S3 answered NoSuchBucket to PutObject"):
        tracking.stage(replace(run_of(package), experiment="stock_prices-lost"), model=MODEL, digest=digest)
    assert tracking.versions(MODEL) == []


def test_another_secret_is_refused_with_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(PermissionDeniedError, match=f"at '{ARN}'.*signature does not match.*Check the login"):
        server_tracking(MlflowSettings(server=ARN), tmp_path).versions(MODEL)


def test_the_arn_of_another_server_is_refused(tmp_path: Path) -> None:
    other = ARN.replace("/team", "/other")
    with pytest.raises(PermissionDeniedError, match="is not authorized to access"):
        server_tracking(MlflowSettings(server=other), tmp_path).versions(MODEL)


def test_without_credentials_the_next_step_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(PermissionDeniedError, match="credentials"):
        server_tracking(MlflowSettings(server=ARN), tmp_path).versions(MODEL)


def test_without_the_plugin_the_line_that_installs_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [p for p in sys.path if ".test-env" not in p])
    monkeypatch.delitem(sys.modules, "sagemaker_mlflow")
    with pytest.raises(ImportError, match=r"pip install 'mlplatform\[sagemaker-mlflow\]'"):
        server_tracking(MlflowSettings(server=ARN), tmp_path).versions(MODEL)
