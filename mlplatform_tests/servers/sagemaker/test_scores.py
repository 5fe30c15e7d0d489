"""Transforms of the platform on the stand-in where something goes wrong on the way: nothing is done twice, nothing is left."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.errors import JobError, PermissionDeniedError, ProfileError, TimedOutError, UnavailableError
from mlplatform.ports.compute import JobSpec
from mlplatform.ports.transform import Transforms
from mlplatform_tests.conformance.computes import bucket_store, compute_of
from mlplatform_tests.conformance.transforms import answers, lay_rows, rows_of, spec_of, transforms_of
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount


@pytest.fixture
def store(ministack_server: Ministack) -> S3ObjectStore:
    found = bucket_store(ministack_server)
    lay_rows(found, {"a.jsonl": rows_of(3)})
    return found


@pytest.fixture
def transforms(
    sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Transforms:
    for name, value in sagemaker_account.env.items():
        monkeypatch.setenv(name, value)
    return transforms_of("sagemaker", tmp_path, store)


@pytest.fixture
def client(sagemaker_account: SageMakerAccount) -> Any:
    return boto3.client("sagemaker", **sagemaker_account.client_options)


def test_a_transform_is_tagged_paid_for_and_leaves_no_model(
    transforms: Transforms, client: Any, store: S3ObjectStore, tmp_path: Path
) -> None:
    done = transforms.run(spec_of(tmp_path, tags={"system": "s"}))
    assert done.machine == "ml.m5.large"
    assert done.billable_s is not None
    found = client.describe_transform_job(TransformJobName="score-1")
    tags = {t["Key"]: t["Value"] for t in client.list_tags(ResourceArn=found["TransformJobArn"])["Tags"]}
    assert tags == {"system": "s", "mlplatform": store.url("")}
    assert client.list_models()["Models"] == []


@pytest.mark.slow
def test_a_transform_throttled_for_a_while_ends_all_the_same(
    transforms: Transforms, sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path
) -> None:
    for operation in ("CreateModel", "CreateTransformJob", "DescribeTransformJob", "DeleteModel"):
        sagemaker_account.refuse(operation, "ThrottlingException", times=1, message="Rate exceeded")
    transforms.run(spec_of(tmp_path))
    assert len(answers(store, "out/a.jsonl.out")) == 3


def test_who_may_not_make_transforms_reads_which_action_and_makes_none(
    transforms: Transforms, sagemaker_account: SageMakerAccount, tmp_path: Path
) -> None:
    action = "sagemaker:CreateTransformJob"
    sagemaker_account.refuse(
        "CreateTransformJob", "AccessDeniedException", message=f"not authorized to perform: {action}"
    )
    with pytest.raises(PermissionDeniedError, match=rf"Job 'score-1'.*{action}"):
        transforms.run(spec_of(tmp_path))
    assert not transforms.failed("score-1")


def test_no_capacity_is_an_error_that_may_pass_by_another_name(
    transforms: Transforms, sagemaker_account: SageMakerAccount, tmp_path: Path
) -> None:
    sagemaker_account.expect("capacity")
    with pytest.raises(UnavailableError, match=r"Transform 'score-1' is Failed: CapacityError.*another instance_type"):
        transforms.run(spec_of(tmp_path))
    assert transforms.failed("score-1")
    assert transforms.run(spec_of(tmp_path, "score-2")).name == "score-2"


@pytest.fixture
def slow(tmp_path: Path, transforms: Transforms) -> Transforms:
    """A serving container that never answers."""
    folder = tmp_path / "containers" / "serve"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "-c", "import time; time.sleep(600)"]\n')
    return transforms


def test_a_transform_that_takes_too_long_is_stopped(slow: Transforms, client: Any, tmp_path: Path) -> None:
    with pytest.raises(TimedOutError, match="Job 'score-1' is Stopped: It ran longer than 1 s"):
        slow.run(spec_of(tmp_path, timeout_s=1))
    assert client.describe_transform_job(TransformJobName="score-1")["TransformJobStatus"] == "Stopped"
    assert client.list_models()["Models"] == []


def test_a_transform_and_a_processing_job_that_run_are_listed_with_what_they_occupy(
    slow: Transforms, client: Any, store: S3ObjectStore, tmp_path: Path
) -> None:
    compute = compute_of("sagemaker", tmp_path, store)
    folder = tmp_path / "containers" / "sleeps"
    folder.mkdir()
    (folder / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "-c", "import time; time.sleep(600)"]\n')
    job = JobSpec("job-p1", "sleeps", {}, (), "results/", outputs=("out",))
    works = (lambda: slow.run(spec_of(tmp_path)), lambda: compute.run(job))
    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(work) for work in works]
        deadline = time.monotonic() + 60
        while len(found := compute.running()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        client.stop_transform_job(TransformJobName="score-1")
        compute.stop("job-p1")
        assert [type(end.exception(60)) for end in ends] == [JobError, JobError]
    assert {(each.name, each.status, each.machine, each.hosts) for each in found} == {
        ("score-1", "Transforming", "ml.m5.large", 1),
        ("job-p1", "Processing", "ml.m5.large", 1),
    }
    assert compute.running() == ()


RUNNER = """
import sys
from pathlib import Path
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform_tests.conformance.transforms import spec_of, transforms_of
root, bucket = Path(sys.argv[1]), sys.argv[2]
transforms_of("sagemaker", root, S3ObjectStore(bucket, "below/here")).run(spec_of(root))
"""


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", ["kill", "interrupt"])
def test_after_a_kill_the_transform_is_joined_and_after_an_interrupt_it_is_stopped(
    slow: Transforms, client: Any, store: S3ObjectStore, tmp_path: Path, ended_by: str
) -> None:
    spec_of(tmp_path)
    bucket = store.url("").split("/")[2]
    with subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path), bucket], stderr=subprocess.DEVNULL) as runner:
        try:
            deadline = time.monotonic() + 60
            while not client.list_transform_jobs()["TransformJobSummaries"]:
                assert time.monotonic() < deadline
                assert runner.poll() is None
                time.sleep(0.05)
            if ended_by == "interrupt":
                runner.send_signal(2)
                runner.wait(60)
        finally:
            runner.kill()
    status = client.describe_transform_job(TransformJobName="score-1")["TransformJobStatus"]
    assert status == ("InProgress" if ended_by == "kill" else "Stopped")
    with pytest.raises(TimedOutError if ended_by == "kill" else JobError, match=r"score-1' is Stopped"):
        slow.run(spec_of(tmp_path, timeout_s=1))
    assert len(client.list_transform_jobs()["TransformJobSummaries"]) == 1


def test_a_package_that_sagemaker_cannot_read_is_refused_by_name(transforms: Transforms, tmp_path: Path) -> None:
    assert transforms.shared
    found = transforms_of("sagemaker", tmp_path, DirectoryObjectStore(tmp_path / "objects"))
    with pytest.raises(ProfileError, match="SageMaker reads models from S3"):
        found.run(spec_of(tmp_path))
