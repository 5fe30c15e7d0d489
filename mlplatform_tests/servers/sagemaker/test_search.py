"""Searches of the platform as tuning jobs on the stand-in: the best trial's model is the job's, and nothing is tried twice."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.compute.sagemaker import SageMakerCompute
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.core.training.plan import SearchRange
from mlplatform.errors import JobError, NotFoundError, PermissionDeniedError, SpecError, UnavailableError
from mlplatform.ports.compute import Channel, JobSearch, JobSpec
from mlplatform_tests.conformance.computes import SETTINGS, bucket_store, lay_programs
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount
from mlplatform_tests.servers.sagemaker.test_compute import adapter as adapter_of
from mlplatform_tests.servers.sagemaker.test_events import queue, sqs

__all__ = ["queue", "sqs"]

PROGRAMS = {
    "tries": """
        import json, os, pathlib
        x = float(json.loads(os.environ["SM_HPS"])["x"])
        print("[0] validation:rmse: 99")
        print(f"[1] validation:rmse: {abs(x - 2)}")
        pathlib.Path(os.environ["SM_MODEL_DIR"], "x").write_text(str(x))
    """,
    "silent": "print('nothing')",
    "ends": "import os; print(os.environ['MLPLATFORM_END_OF_LOG'])",
    "fails": "raise SystemExit('no good')",
    "gated": """
        import os, pathlib, time
        while not pathlib.Path(os.environ["GATE"]).exists():
            time.sleep(0.02)
        print("[0] validation:rmse: 1.5")
        pathlib.Path(os.environ["SM_MODEL_DIR"], "m").write_text("1")
    """,
}
SEARCH = JobSearch("validation:rmse", False, 3, {"x": SearchRange(choices=("0", "2.25", "5"))}, seed=4)
TUNING = {**SETTINGS, "search": "tuning", "search_strategy": "Random", "search_parallel": 3, "metrics": {}}


@pytest.fixture
def store(ministack_server: Ministack) -> S3ObjectStore:
    found = bucket_store(ministack_server)
    found.put("rows/part-0.csv", b"1\n")
    return found


@pytest.fixture
def compute(
    sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SageMakerCompute:
    for name, value in sagemaker_account.env.items():
        monkeypatch.setenv(name, value)
    lay_programs(tmp_path / "containers", PROGRAMS)
    return adapter(sagemaker_account, tmp_path, store)


def adapter(account: SageMakerAccount, tmp_path: Path, store: S3ObjectStore, **more: Any) -> SageMakerCompute:
    return adapter_of(account, tmp_path, store, **{**TUNING, **more})


def job(container: str = "tries", name: str = "search-1", search: JobSearch = SEARCH, **more: Any) -> JobSpec:
    channels = (Channel("train", "rows/"),)
    return JobSpec(name, container, {"x": "9", "rounds": "3"}, channels, "models/", search=search, **more)


def test_the_best_trial_s_model_is_the_job_s_and_all_trials_are_told(
    compute: SageMakerCompute, store: S3ObjectStore
) -> None:
    lines: list[str] = []
    found = compute.run(job(), on_log=lines.append)
    best = min(found.trials, key=lambda trial: trial.value if trial.value is not None else 99)
    assert (found.status, found.name) == ("Completed", best.job)
    assert found.model_dir is not None
    assert (found.model_dir / "x").read_text() == str(float(best.hyperparameters["x"]))
    assert {trial.value for trial in found.trials} <= {2.0, 0.25, 3.0}
    assert all(trial.hyperparameters["rounds"] == "3" and trial.status == "Completed" for trial in found.trials)
    assert found.metrics["validation:rmse"] == best.value
    assert len(found.trials) == len(lines) == 3
    assert f"{best.job} (x={best.hyperparameters['x']}): validation:rmse: {best.value:.6g}" in lines
    assert found.billable_s is not None
    assert found.billable_s >= 3
    assert found.log_path is not None
    assert sorted(found.log_path.read_text().splitlines()) == sorted(lines)
    assert next(store.list(f"models/{best.job}/output/model.tar.gz"), None) is not None


def test_a_search_is_described_and_listed_as_a_job_beside_its_trials(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount
) -> None:
    found = compute.run(job(tags={"system": "s"}))
    described = compute.describe("search-1")
    assert described["TrainingJobStatus"] == "Completed"
    assert described["ResourceConfig"]["InstanceType"] == "ml.m5.large"
    assert {"Key": "system", "Value": "s"} in described["Tags"]
    assert described["TrainingEndTime"] >= described["CreationTime"]
    assert {"Key": "system", "Value": "s"} in compute.describe(found.name)["Tags"]
    assert sorted(compute.list()) == sorted(["search-1", *(trial.job for trial in found.trials)])
    compute.remove("search-1")
    assert sorted(compute.list()) == sorted(trial.job for trial in found.trials)
    with pytest.raises(NotFoundError, match="There is no job 'search-1'"):
        compute.describe("search-1")


def test_a_search_that_ended_is_not_made_again(compute: SageMakerCompute, sagemaker_account: SageMakerAccount) -> None:
    first = compute.run(job())
    assert compute.run(job()) == first
    assert sagemaker_account.calls.count("CreateHyperParameterTuningJob") == 2
    assert len(compute.list()) == 4


def test_an_interrupt_stops_the_search_and_its_trials(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    one = replace(SEARCH, trials=2)
    slow = adapter(sagemaker_account, tmp_path, compute._store, search_parallel=1)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        slow.run(job(search=one), on_log=interrupt)
    found = compute.describe("search-1")
    assert (found["TrainingJobStatus"], found["FailureReason"]) == ("Stopped", "Stopped on request.")
    assert compute.running() == ()
    with pytest.raises(JobError, match=r"Search 'search-1' is Stopped \(its trials: .*\): Stopped on request"):
        compute.run(job(search=one))


RUNNER = """
import sys
from pathlib import Path
from mlplatform_tests.servers.sagemaker.test_search import SEARCH, TUNING, job
from mlplatform.adapters.compute.sagemaker import SageMakerCompute
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.object_store.s3 import S3ObjectStore
root, bucket = Path(sys.argv[1]), sys.argv[2]
compute = SageMakerCompute(
    SageMakerComputeSettings.model_validate(TUNING), root / "local", S3ObjectStore(bucket, "below/here"),
    containers=[root / "containers"],
)
compute.run(job("gated", environment={"GATE": str(root / "gate")}))
"""


def test_resume_after_kill_of_the_runner_joins_its_search_and_makes_no_second(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path
) -> None:
    bucket = store.url("").split("/")[2]
    with subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path), bucket]) as runner:
        try:
            deadline = time.monotonic() + 60
            while len(compute.running()) < 3:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            runner.kill()
    assert compute.describe("search-1")["SecondaryStatus"] == "Tuning"
    (tmp_path / "gate").touch()
    found = compute.run(job("gated", environment={"GATE": str(tmp_path / "gate")}))
    assert (found.status, [trial.value for trial in found.trials]) == ("Completed", [1.5] * 3)
    assert len(compute.list()) == 4


@pytest.mark.parametrize("kind", ["search", "processing"])
def test_a_job_of_each_kind_is_looked_at_when_its_event_comes(
    sagemaker_account: SageMakerAccount,
    compute: SageMakerCompute,
    store: S3ObjectStore,
    tmp_path: Path,
    queue: str,
    kind: str,
) -> None:
    # A poll would come after the test's own time.
    waits = adapter(sagemaker_account, tmp_path, store, events_queue=queue, poll_s=3600.0)
    if kind == "search":
        assert waits.run(job()).status == "Completed"
    else:
        assert waits.run(replace(job("ends", "job-p1"), search=None, outputs=("out",))).status == "Completed"


@pytest.mark.slow
def test_a_search_throttled_for_a_while_ends_all_the_same(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount
) -> None:
    for operation in ("CreateHyperParameterTuningJob", "ListTrainingJobsForHyperParameterTuningJob"):
        sagemaker_account.refuse(operation, "ThrottlingException", times=1, message="Rate exceeded")
    sagemaker_account.refuse("DescribeHyperParameterTuningJob", "InternalFailure", status=500, times=3)
    assert compute.run(job()).status == "Completed"
    assert len(compute.list()) == 4


def test_who_may_not_make_searches_reads_which_action(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount
) -> None:
    action = "sagemaker:CreateHyperParameterTuningJob"
    sagemaker_account.refuse(
        "CreateHyperParameterTuningJob", "AccessDeniedException", message=f"not authorized to perform: {action}"
    )
    with pytest.raises(PermissionDeniedError, match=rf"Job 'search-1'.*{action}.*iam:PassRole"):
        compute.run(job())


def test_no_capacity_is_an_error_that_may_pass(compute: SageMakerCompute, sagemaker_account: SageMakerAccount) -> None:
    sagemaker_account.expect("capacity")
    with pytest.raises(UnavailableError, match=r"Search 'search-1' is Failed.*CapacityError.*another instance_type"):
        compute.run(job())


@pytest.mark.parametrize(
    ("container", "said"),
    [
        ("silent", r"is Completed \(its trials: 3 Completed\): No trial printed the metric that is searched for"),
        ("fails", r"is Failed \(its trials: 3 NonRetryableError\): .*No training job completed"),
    ],
)
def test_a_search_without_a_model_says_what_its_trials_came_to(
    compute: SageMakerCompute, tmp_path: Path, container: str, said: str
) -> None:
    with pytest.raises(JobError, match=said) as raised:
        compute.run(job(container))
    assert str(tmp_path / "local/search-1/job.log") in str(raised.value)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("s" * 33, SearchRange(1, 2), "expected at most 32 characters"),
        ("search-1", SearchRange(2, 1), r"Range of 'x': expected low ≤ high; found 2 … 1"),
        ("search-1", SearchRange(0, 1, log=True), r"and low > 0 with log; found 0 … 1"),
    ],
)
def test_what_is_no_search_is_refused_before_it_is_made(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount, name: str, given: SearchRange, said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        compute.run(job(name=name, search=replace(SEARCH, ranges={"x": given})))
    assert sagemaker_account.calls == []
