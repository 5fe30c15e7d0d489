"""Every compute back end, without jobs, for the suites of the port. Jobs' trees lie in the test's `jobs/` with each of them:
SageMaker's stand-in runs them there.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import textwrap
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform.adapters.compute.sagemaker import SageMakerCompute
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.compute.subprocess import SubprocessCompute
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.ports.compute import Compute
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server
from mlplatform_tests.servers.sagemaker.server import SageMaker

__all__ = ["backend", "sagemaker_server", "store"]

BACKENDS = ("subprocess", "sagemaker")
SETTINGS = {
    "role_arn": "arn:aws:iam::111122223333:role/trainer",
    "image": "111122223333.dkr.ecr.us-east-1.amazonaws.com/{container}:1",
    "max_instances": 16,
    "poll_s": 0.2,
    "metrics": {"validation:r2": r"^\[\d+\] validation:r2: ([-+0-9.e]+)$"},
}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The back end's name; whoever runs jobs has secrets in his environment, and AWS is where its stand-ins are."""
    monkeypatch.setenv("MLPLATFORM_SECRET_X", "s3cret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "k")
    if request.param == "sagemaker":
        server: SageMaker = request.getfixturevalue("sagemaker_server")
        for name, value in server.account(tmp_path).env.items():
            monkeypatch.setenv(name, value)
    return str(request.param)


@pytest.fixture
def store(request: pytest.FixtureRequest, backend: str, tmp_path: Path) -> Iterator[ObjectStore]:
    found: Any = DirectoryObjectStore(tmp_path / "objects")
    if backend == "sagemaker":
        found = bucket_store(request.getfixturevalue("ministack_server"))
    found.put("unload/a/part-0.csv", b"1,2\n")
    found.put("unload/a/deep/part-1.csv", b"3,4\n")
    found.put("unload/ab/other.csv", b"5,6\n")
    yield found
    if backend == "sagemaker":
        found.close()


def bucket_store(server: Ministack) -> S3ObjectStore:
    """A store in a new bucket, below a prefix."""
    client: Any = boto3.client("s3", **server.client_options)
    bucket = f"test-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    client.close()
    return S3ObjectStore(bucket, "below/here", client_options=server.client_options)


def lay_programs(folder: Path, programs: Mapping[str, str]) -> None:
    """A container below `folder` for each program, by its name."""
    for name, text in programs.items():
        place = folder / name
        place.mkdir(parents=True)
        (place / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "job.py"]\n')
        (place / "job.py").write_text(textwrap.dedent(text))


def compute_of(backend: str, tmp_path: Path, store: ObjectStore, **settings: Any) -> Compute:
    """The back end with the test's own containers."""
    containers = [tmp_path / "containers"]
    if backend == "subprocess":
        return SubprocessCompute(tmp_path / "jobs", store, containers=containers, grace_s=1.0)
    made = SageMakerComputeSettings.model_validate({**SETTINGS, **settings})
    # boto3 keeps the credentials that it found first.
    options = {"aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": "test"}
    return SageMakerCompute(made, tmp_path / "local", store, containers=containers, client_options=options)


def on_this_machine(tmp_path: Path, name: str) -> dict[str, Any]:
    """What the runner wrote of the job's processes."""
    return dict(json.loads((tmp_path / "jobs" / name / "describe.json").read_bytes())["Local"])


def archive_of(store: ObjectStore, key: str) -> tarfile.TarFile:
    """The archive under `key`."""
    with store.open(key) as stream:
        return tarfile.open(fileobj=io.BytesIO(stream.read()))
