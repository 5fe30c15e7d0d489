"""Jobs of the platform on the stand-in where something goes wrong on the way: each ends in a state to go on from."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform.adapters.compute.sagemaker import SageMakerCompute
from mlplatform.adapters.compute.sagemaker_logs import GROUP
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.errors import (
    JobError,
    PermissionDeniedError,
    ProfileError,
    ThrottledError,
    TimedOutError,
    UnavailableError,
)
from mlplatform.ports.compute import JobResult, JobSpec
from mlplatform_tests.conformance.computes import SETTINGS, bucket_store, lay_programs
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount

QUICK = "import os, pathlib; pathlib.Path(os.environ['SM_MODEL_DIR'], 'm').write_text('1'); print('done')"
ENDING = f"{QUICK}; print(os.environ['MLPLATFORM_END_OF_LOG'])"
GATED = """
    import os, pathlib, time
    print("waiting", flush=True)
    while not pathlib.Path(os.environ["GATE"]).exists():
        time.sleep(0.02)
    pathlib.Path(os.environ["SM_MODEL_DIR"], "m").write_text("1")
"""


@pytest.fixture
def store(ministack_server: Ministack) -> S3ObjectStore:
    return bucket_store(ministack_server)


@pytest.fixture
def compute(
    sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path, monkeypatch: Any
) -> SageMakerCompute:
    for name, value in sagemaker_account.env.items():
        monkeypatch.setenv(name, value)
    lay_programs(tmp_path / "containers", {"quick": QUICK, "ending": ENDING, "gated": GATED})
    return adapter(sagemaker_account, tmp_path, store)


def adapter(account: SageMakerAccount, tmp_path: Path, store: S3ObjectStore, **more: Any) -> SageMakerCompute:
    from botocore.config import Config

    settings = {**SETTINGS, "patience_s": 20.0, **more}
    keys = {"aws_access_key_id": account.key, "aws_secret_access_key": "test"}
    return SageMakerCompute(
        SageMakerComputeSettings.model_validate(settings),
        tmp_path / "local",
        store,
        containers=[tmp_path / "containers"],
        client_options={**keys, "config": Config(retries={"mode": "standard", "total_max_attempts": 2})},
    )


def job(container: str = "quick", name: str = "job-1", **more: Any) -> JobSpec:
    return JobSpec(name, container, {}, (), "models/", **more)


def test_a_job_throttled_for_a_while_ends_all_the_same(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount
) -> None:
    sagemaker_account.refuse("DescribeTrainingJob", "ThrottlingException", times=1, message="Rate exceeded")
    sagemaker_account.refuse("CreateTrainingJob", "ThrottlingException", times=1, message="Rate exceeded")
    assert compute.run(job()).status == "Completed"
    assert sagemaker_account.calls.count("CreateTrainingJob") == 2


def test_answers_of_a_server_that_is_down_for_a_while_are_borne(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount, tmp_path: Path
) -> None:
    lines: list[str] = []

    def once(line: str) -> None:
        if not lines:
            sagemaker_account.refuse("DescribeTrainingJob", "InternalFailure", status=500, times=5)
            (tmp_path / "gate").touch()
        lines.append(line)

    found = compute.run(job("gated", environment={"GATE": str(tmp_path / "gate")}), on_log=once)
    assert (found.status, lines) == ("Completed", ["waiting"])


def test_a_job_that_is_seen_only_a_while_after_it_was_made_is_waited_for(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount
) -> None:
    unseen = {"code": "ValidationException", "message": "Requested resource not found.", "times": 2}
    sagemaker_account.refuse("DescribeTrainingJob", **unseen)
    sagemaker_account.refuse("DescribeTrainingJob", "ThrottlingException", times=3, message="Rate exceeded")
    assert compute.run(job()).status == "Completed"
    assert sagemaker_account.calls.count("CreateTrainingJob") == 1


def test_a_quota_says_that_it_can_be_raised(compute: SageMakerCompute, sagemaker_account: SageMakerAccount) -> None:
    sagemaker_account.refuse("CreateTrainingJob", "ResourceLimitExceeded", times=2)
    with pytest.raises(ThrottledError, match=r"ResourceLimitExceeded to CreateTrainingJob.*have the quota raised"):
        compute.run(job())
    assert compute.list() == []


def test_who_may_not_make_jobs_reads_which_action_and_role(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount
) -> None:
    sagemaker_account.refuse(
        "CreateTrainingJob", "AccessDeniedException", message="not authorized to perform: sagemaker:CreateTrainingJob"
    )
    with pytest.raises(PermissionDeniedError, match=r"sagemaker:CreateTrainingJob.*iam:PassRole on 'arn:aws:iam::"):
        compute.run(job())


def test_no_capacity_is_an_error_that_may_pass(compute: SageMakerCompute, sagemaker_account: SageMakerAccount) -> None:
    sagemaker_account.expect("capacity")
    with pytest.raises(UnavailableError, match=r"Job 'job-1' is Failed: CapacityError.*another instance_type"):
        compute.run(job())
    assert compute.run(job(name="job-1-a2")).status == "Completed"


def test_a_spot_job_that_waits_in_vain_has_timed_out(
    sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path, compute: SageMakerCompute
) -> None:
    sagemaker_account.expect("no spot capacity")
    spot = adapter(sagemaker_account, tmp_path, store, spot=True, spot_wait_s=30)
    with pytest.raises(TimedOutError, match="It waited for spot capacity and ran longer than 3630 s"):
        spot.run(job())
    assert compute.describe("job-1")["SecondaryStatus"] == "MaxWaitTimeExceeded"


def test_resume_after_credentials_expired_joins_the_job_that_ran_on(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount, tmp_path: Path
) -> None:
    wanted = job("gated", environment={"GATE": str(tmp_path / "gate")})

    def expire(_: str) -> None:
        sagemaker_account.refuse("*", "ExpiredTokenException", times=1, message="The security token is expired")

    with pytest.raises(PermissionDeniedError, match=r"ExpiredTokenException.*a job that was started runs on"):
        compute.run(wanted, on_log=expire)
    assert compute.describe("job-1")["TrainingJobStatus"] == "InProgress"
    (tmp_path / "gate").touch()
    lines: list[str] = []
    assert compute.run(wanted, on_log=lines.append).status == "Completed"
    assert lines == ["waiting"]
    assert sagemaker_account.calls.count("StopTrainingJob") == 0


RUNNER = """
import sys
from pathlib import Path
from mlplatform_tests.conformance.computes import SETTINGS
from mlplatform.adapters.compute.sagemaker import SageMakerCompute
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.ports.compute import JobSpec
root, bucket = Path(sys.argv[1]), sys.argv[2]
compute = SageMakerCompute(
    SageMakerComputeSettings.model_validate(SETTINGS), root / "local", S3ObjectStore(bucket, "below/here"),
    containers=[root / "containers"],
)
compute.run(JobSpec("job-1", "gated", {}, (), "models/", environment={"GATE": str(root / "gate")}))
"""


def test_resume_after_kill_of_the_runner_joins_its_job_and_makes_no_second(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path
) -> None:
    bucket = store.url("").split("/")[2]
    with subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path), bucket]) as runner:
        try:
            log, deadline = tmp_path / "local/job-1/job.log", time.monotonic() + 60
            while not (log.exists() and "waiting" in log.read_text()):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            runner.kill()
    assert compute.describe("job-1")["TrainingJobStatus"] == "InProgress"
    (tmp_path / "gate").touch()
    found = compute.run(job("gated", environment={"GATE": str(tmp_path / "gate")}))
    assert found.status == "Completed"
    assert found.model_dir is not None
    assert (found.model_dir / "m").read_text() == "1"
    assert compute.list() == ["job-1"]


def test_two_who_ask_at_once_have_one_job_between_them(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path
) -> None:
    other = adapter(sagemaker_account, tmp_path, store)
    found: list[JobResult] = []
    threads = [threading.Thread(target=lambda c=c: found.append(c.run(job()))) for c in (compute, other)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert found[0].billable_s
    assert compute.list() == ["job-1"]


def test_a_model_that_is_gone_from_the_store_is_no_model(compute: SageMakerCompute, store: S3ObjectStore) -> None:
    from mlplatform.adapters.compute.sagemaker_local import LocalCopies

    compute.run(job())
    store.delete("models/job-1/output/model.tar.gz")
    compute._copies = LocalCopies(compute._copies._root / "elsewhere", store)
    assert compute.run(job()).model_dir is None


def test_a_log_that_cloudwatch_has_forgotten_stays_on_this_machine(
    compute: SageMakerCompute, ministack_server: Ministack
) -> None:
    first = compute.run(job())
    logs: Any = boto3.client("logs", **ministack_server.client_options)
    for stream in logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="job-1/")["logStreams"]:
        logs.delete_log_stream(logGroupName=GROUP, logStreamName=stream["logStreamName"])
    lines: list[str] = []
    again = compute.run(job(), on_log=lines.append)
    assert lines == []
    assert again.log_path == first.log_path
    assert again.log_path is not None
    assert again.log_path.read_text() == "done\n"


def test_a_slow_answer_is_waited_for(compute: SageMakerCompute, sagemaker_account: SageMakerAccount) -> None:
    sagemaker_account.slow("CreateTrainingJob", 1.0)
    assert compute.run(job()).status == "Completed"
    assert sagemaker_account.calls.count("CreateTrainingJob") == 1


def test_a_job_deleted_by_somebody_else_is_said_to_be(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path
) -> None:
    other = adapter(sagemaker_account, tmp_path, store)
    with pytest.raises(JobError, match="Job 'job-1' was deleted while it was awaited"):
        compute.run(job("gated", environment={"GATE": str(tmp_path / "gate")}), on_log=lambda _: other.remove("job-1"))


def test_objects_that_are_not_in_s3_are_refused_by_name(sagemaker_account: SageMakerAccount, tmp_path: Path) -> None:
    from mlplatform.adapters.object_store.directory import DirectoryObjectStore

    compute: Any = SageMakerCompute(
        SageMakerComputeSettings.model_validate(SETTINGS), tmp_path, DirectoryObjectStore(tmp_path / "objects")
    )
    with pytest.raises(ProfileError, match="SageMaker reads channels from S3; the object store is at"):
        compute.run(job("xgboost"))


def test_a_profile_s_connection_is_the_adapter_and_secrets_of_this_machine_are_refused_by_name(
    sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path
) -> None:
    from mlplatform.adapters.secrets.environment import EnvironmentSecrets
    from mlplatform.platform import connections
    from mlplatform.spec.home import Home
    from mlplatform.spec.profile import Connection

    connection = Connection(port="compute", adapter="sagemaker", settings=SETTINGS)
    here = EnvironmentSecrets({})
    found = connections.compute(connection, Home(tmp_path), store, tmp_path, tmp_path / "cache", lambda: here)
    with pytest.raises(ProfileError, match=r"needs the secrets db-password.*adapter ssm or secrets_manager"):
        found.run(job("xgboost", secrets=("db-password",)))
    wrong = connection.model_copy(update={"settings": {**SETTINGS, "instances": 2}})
    with pytest.raises(ProfileError, match="instances"):
        connections.compute(wrong, Home(tmp_path), store, tmp_path, tmp_path / "cache", lambda: here)
