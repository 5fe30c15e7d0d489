"""Every tracking back end, with nothing in it, for the suite of the port: a home of this machine, and MLflow's own server.

With MLPLATFORM_TEST_TRACKING=managed it is a server as SageMaker manages it: behind a front that asks for AWS's signature, its
packages in S3; that needs AWS's plugin on the path (`servers/mlflow/test_managed.py`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.endpoints.sagemaker_artifact import lay_artifact
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.tracking.mlflow import MlflowTracking
from mlplatform.adapters.tracking.mlflow_server import MlflowServerTracking
from mlplatform.adapters.tracking.mlflow_settings import MlflowSettings
from mlplatform.adapters.tracking.sagemaker_packages import PackagedTracking, packaged
from mlplatform.adapters.tracking.sagemaker_packages_settings import ModelPackageSettings
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.tracking import TrackedRun, Tracking
from mlplatform_tests.conformance.object_stores import s3_store
from mlplatform_tests.packages import make_package
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.mlflow.server import MlflowServer, mlflow_server
from mlplatform_tests.servers.mlflow.signed_front import signed_front
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount

MODEL = "stock_prices.stock_model"
TAGS = {"dagster_run_id": "r-1", "code_version": "c" * 40, "snapshot": "s" * 64, "training_job": "job-1"}
PAGES = "http://127.0.0.1:5000/"
ARN = "arn:aws:sagemaker:us-east-1:111122223333:mlflow-tracking-server/team"
IMAGE = "111122223333.dkr.ecr.us-east-1.amazonaws.com/serve:1"
CHOSEN = os.environ.get("MLPLATFORM_TEST_TRACKING", "home server packaged").split()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three packages by digest."""
    root = tmp_path_factory.mktemp("packages")
    return {make_package(root / str(seed), seed=seed, runtime="xgboost"): root / str(seed) for seed in range(3)}


@pytest.fixture
def mlflow_home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a database, copied: making one takes two seconds."""
    template = tmp_path_factory.getbasetemp() / "mlflow-template"
    if not template.exists():
        MlflowTracking(template, template / "cache").versions("none")
    shutil.copytree(template, tmp_path / "tracking")
    return tmp_path / "tracking"


@pytest.fixture
def home_tracking(mlflow_home: Path, tmp_path: Path) -> MlflowTracking:
    return MlflowTracking(mlflow_home, tmp_path / "cache", ui_url=PAGES)


@pytest.fixture(scope="session")
def mlflow_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One server for all tests of the session; each empties it."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(params=[pytest.param(c, marks=[pytest.mark.slow] if c == "packaged" else []) for c in CHOSEN])
def tracking(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tracking]:
    if request.param == "home":
        yield request.getfixturevalue("home_tracking")
        return
    if request.param == "packaged":
        account, ministack = request.getfixturevalue("sagemaker_account"), request.getfixturevalue("ministack_server")
        store = s3_store(ministack)
        yield packaged_tracking(request.getfixturevalue("home_tracking"), account, store)
        store.close()
        return
    with contextlib.ExitStack() as stack:
        if request.param == "server":
            server = request.getfixturevalue("mlflow_servers")
            settings = MlflowSettings(server=server.url, pages_url=PAGES)
        else:
            server = request.getfixturevalue("managed_server")
            settings = MlflowSettings(server=ARN, pages_url=PAGES)
        stack.callback(server.empty)
        yield server_tracking(settings, tmp_path)


def server_tracking(settings: MlflowSettings, folder: Path, **secrets: str) -> MlflowServerTracking:
    """Tracking of a home in `folder`; `secrets` by their names."""
    environment = {f"MLPLATFORM_SECRET_{name.upper()}": value for name, value in secrets.items()}
    return MlflowServerTracking(
        settings, folder / "tracking", folder / "cache", secrets=lambda: EnvironmentSecrets(environment)
    )


@pytest.fixture(scope="session")
def managed_server(ministack_server: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server whose packages are in a bucket, and which the plugin asks by a front, with credentials of the environment."""
    import boto3

    bucket, folder = f"test-{uuid.uuid4().hex}", tmp_path_factory.mktemp("managed")
    boto3.client("s3", **ministack_server.client_options).create_bucket(Bucket=bucket)
    own = {"AWS_ENDPOINT_URL": ministack_server.endpoint_url, "AWS_DEFAULT_REGION": "us-east-1"}
    with (
        pytest.MonkeyPatch.context() as environment,
        mlflow_server(folder, artifacts=f"s3://{bucket}/mlflow", env=own) as server,
        signed_front(server.url, arn=ARN, key="test", secret="of-a-test") as front,
    ):
        for name, value in {
            **own,
            "AWS_ACCESS_KEY_ID": front.key,
            "AWS_SECRET_ACCESS_KEY": front.secret,
            "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": front.url,
        }.items():
            environment.setenv(name, value)
        yield server


def packaged_tracking(
    tracked: Tracking, account: SageMakerAccount, store: ObjectStore, **settings: Any
) -> PackagedTracking:
    """`tracked` with model packages in the stand-in's account."""
    found = ModelPackageSettings.model_validate({"image": IMAGE, **settings})
    return packaged(tracked, found, lambda: store, lay_artifact, options=account.client_options)


def run_of(package: Path) -> TrackedRun:
    return TrackedRun("stock_prices", "job-1", {"eta": "0.1"}, {"r2": 0.9, "mae": 2.0}, TAGS, package)


def stage(tracking: Tracking, packages: dict[str, Path], index: int = 0) -> str:
    """Stage the package that is `index` in the order; its digest."""
    digest, package = list(packages.items())[index]
    assert tracking.stage(run_of(package), model=MODEL, digest=digest).digest == digest
    return digest


def passed(digest: str) -> dict[str, object]:
    return {"passed": True, "digest": digest}
