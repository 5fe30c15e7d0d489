"""The end of a system whose jobs SageMaker runs: nothing of it goes on, of whatever kind; and what may not be seen is told."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

import mlplatform
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.errors import JobError
from mlplatform.platform import Platform, open_platform
from mlplatform.platform.removal import remove_system, what_goes
from mlplatform.platform.status import platform_status
from mlplatform.ports.compute import JobSpec
from mlplatform_tests.conformance.computes import SETTINGS, bucket_store, compute_of
from mlplatform_tests.conformance.transforms import lay_rows, rows_of, spec_of, transforms_of
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount

SYSTEM = "stock_prices"
PACKAGE = Path(mlplatform.__path__[0])
SLEEPS = 'FROM python\nENTRYPOINT ["python", "-c", "import time; time.sleep(600)"]\n'


@pytest.fixture
def store(ministack_server: Ministack) -> Iterator[S3ObjectStore]:
    with closing(bucket_store(ministack_server)) as found:
        lay_rows(found, {"a.jsonl": rows_of(3)})
        yield found


@pytest.fixture
def platform(
    sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    """A project of one system whose objects are in S3, and whose jobs, which sleep, SageMaker runs."""
    for name, value in sagemaker_account.env.items():
        monkeypatch.setenv(name, value)
    # boto3 keeps a session, which read the environment when it was made.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for container in ("serve", "sleeps"):
        (tmp_path / "containers" / container).mkdir(parents=True)
        (tmp_path / "containers" / container / "Dockerfile").write_text(SLEEPS)
    shutil.copytree(PACKAGE / "defs" / SYSTEM, tmp_path / "defs" / SYSTEM)
    (tmp_path / "pyproject.toml").write_text("[tool.dg.project]\n")
    profile = yaml.safe_load((PACKAGE.parent / "profiles" / "local.yaml").read_text("utf-8"))
    bucket = store.url("").split("/")[2]
    profile["connections"] |= {
        "objects": {"port": "object_store", "adapter": "s3", "settings": {"bucket": bucket, "prefix": "below/here"}},
        "jobs": {"port": "compute", "adapter": "sagemaker", "settings": SETTINGS},
    }
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "remote.yaml").write_text(yaml.safe_dump({**profile, "name": "remote"}), "utf-8")
    own = {"HOME": str(tmp_path / "home"), "DEFS": str(tmp_path / "defs"), "PROFILE": "remote"}
    with closing(open_platform({**os.environ, **{f"MLPLATFORM_{name}": value for name, value in own.items()}})) as it:
        yield it


def until_running(platform: Platform, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(platform.compute.running()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_runs_of_a_system_is_stopped_with_it_and_what_runs_of_another_goes_on(
    platform: Platform, store: S3ObjectStore, tmp_path: Path
) -> None:
    transforms, compute = transforms_of("sagemaker", tmp_path, store), compute_of("sagemaker", tmp_path, store)
    ours, theirs = {"tags": {"system": SYSTEM}}, {"tags": {"system": "stock"}}
    specs = {"score-1": ours, "score-2": theirs}
    given = {name: spec_of(tmp_path, name, **tags) for name, tags in specs.items()}
    job = JobSpec("job-p1", "sleeps", {}, (), "results/", outputs=("out",), **ours)
    works: dict[str, Callable[[], Any]] = {
        "job-p1": lambda: compute.run(job),
        **{name: lambda spec=spec: transforms.run(spec) for name, spec in given.items()},
    }
    with ThreadPoolExecutor(3) as pool:
        ends: dict[str, Future[Any]] = {name: pool.submit(work) for name, work in works.items()}
        until_running(platform, 3)
        goes = [each.detail for each in what_goes(platform, SYSTEM) if each.what == "job"]
        assert sorted(goes) == ["job-p1, which is stopped", "score-1, which is stopped"]
        remove_system(platform, SYSTEM)
        assert [type(ends[name].exception(60)) for name in ("job-p1", "score-1")] == [JobError, JobError]
        assert [(each.name, each.system) for each in platform.compute.running()] == [("score-2", "stock")]
        platform.compute.stop("score-2")
        assert isinstance(ends["score-2"].exception(60), JobError)


def test_kinds_of_jobs_that_may_not_be_listed_are_a_trouble_that_names_the_action(
    platform: Platform, sagemaker_account: SageMakerAccount
) -> None:
    for kind in ("ProcessingJob", "TransformJob"):
        sagemaker_account.refuse(f"List{kind}s", "AccessDeniedException", status=403, message="not authorized")
    troubles = platform_status(platform, programs=[], now=datetime.now(UTC)).troubles
    said = [line for line in troubles if line.startswith("jobs: ")]
    assert [f"Allow sagemaker:List{kind}s" in line for kind, line in zip(("ProcessingJob", "TransformJob"), said, strict=True)] == [True] * 2  # fmt: skip
