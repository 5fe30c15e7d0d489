"""What every compute must do, shown on real processes in SageMaker's training contract."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlplatform.adapters.compute.process import ProcessId
from mlplatform.errors import DataError, JobError, NotFoundError, SpecError, TimedOutError
from mlplatform.ports.compute import Channel, Compute, JobResult, JobSpec
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.computes import (
    archive_of,
    backend,
    compute_of,
    lay_programs,
    on_this_machine,
    sagemaker_server,
    store,
)

__all__ = ["backend", "sagemaker_server", "store"]

SCRIPTS = {
    "copies": """
        import json, os, pathlib, shutil
        out = pathlib.Path(os.environ["SM_MODEL_DIR"])
        shutil.copytree(os.environ["SM_CHANNEL_TRAIN"], out / "train")
        config = pathlib.Path(os.environ["SM_INPUT_CONFIG_DIR"])
        (out / "env.json").write_text(json.dumps(dict(os.environ)))
        (out / "config.json").write_text(json.dumps({p.stem: json.loads(p.read_text()) for p in config.iterdir()}))
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "note.txt").write_text("done")
        for i in range(3): print(f"[{i}] validation:r2: {i / 2}")
        print("last line", end="")
    """,
    "fails": """
        import os, pathlib, sys
        pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("Column 'x' is missing.")
        sys.exit(5)
    """,
    "crashes": "print('about to'); raise ValueError('no good')",
    "sleeps": """
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("sleeping", flush=True)
        time.sleep(600)
    """,
    "ignores": """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("sleeping", flush=True)
        time.sleep(600)
    """,
    "eats": """
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "b = bytearray(150 << 20); import time; time.sleep(600)"])
        time.sleep(600)
    """,
    "leaves": """
        import subprocess, sys
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    """,
}


@pytest.fixture
def containers(tmp_path: Path) -> Path:
    lay_programs(tmp_path / "containers", SCRIPTS)
    return tmp_path / "containers"


@pytest.fixture
def compute(backend: str, tmp_path: Path, store: ObjectStore, containers: Path) -> Compute:
    return compute_of(backend, tmp_path, store)


def _job(container: str, name: str = "job-1", **changes: Any) -> JobSpec:
    job = JobSpec(name, container, {"max-depth": "6", "eta": "0.1"}, (Channel("train", "unload/a/"),), "models/")
    return replace(job, **changes)


def _gone(tmp_path: Path, name: str) -> bool:
    session = on_this_machine(tmp_path, name)["Session"]["pid"]
    alive = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return not alive


def _background(compute: Compute, job: JobSpec) -> tuple[threading.Thread, list[JobResult | Exception]]:
    results: list[JobResult | Exception] = []

    def run() -> None:
        try:
            results.append(compute.run(job))
        except (JobError, TimedOutError) as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def _wait_for_log(path: Path, text: str) -> None:
    """A whole line of it: half of one may be there first."""
    deadline = time.monotonic() + 60
    while not (path.exists() and text in path.read_text().rpartition("\n")[0]):
        assert time.monotonic() < deadline, f"'{text}' never came in {path}"
        time.sleep(0.02)


def test_a_job_sees_the_contract_and_its_results_come_back(
    compute: Compute, store: ObjectStore, tmp_path: Path
) -> None:
    lines: list[str] = []
    result = compute.run(_job("copies", environment={"EXTRA": "1"}), on_log=lines.append)
    assert (result.status, result.secondary_status, result.exit_code) == ("Completed", "Completed", 0)
    assert lines == ["[0] validation:r2: 0.0", "[1] validation:r2: 0.5", "[2] validation:r2: 1.0", "last line"]
    assert result.metrics == {"validation:r2": 1.0}
    assert result.model_dir is not None
    assert (result.model_dir / "train" / "part-0.csv").read_bytes() == b"1,2\n"
    assert (result.model_dir / "train" / "deep" / "part-1.csv").read_bytes() == b"3,4\n"
    assert not (result.model_dir / "train" / "other.csv").exists()
    env = json.loads((result.model_dir / "env.json").read_text())
    assert env["SM_HP_MAX-DEPTH"] == env["SM_HP_MAX_DEPTH"] == "6"
    assert json.loads(env["SM_HPS"]) == {"max-depth": "6", "eta": "0.1"}
    assert json.loads(env["SM_CHANNELS"]) == ["train"]
    assert env["TRAINING_JOB_NAME"] == "job-1"
    assert env["EXTRA"] == "1"
    assert env["SAGEMAKER_BASE_DIR"] == str(tmp_path / "jobs/job-1/opt/ml")
    config = json.loads((result.model_dir / "config.json").read_text())
    assert config["hyperparameters"] == {"max-depth": "6", "eta": "0.1"}
    assert config["resourceconfig"]["hosts"] == ["algo-1"]
    assert config["inputdataconfig"]["train"]["TrainingInputMode"] == "File"
    with archive_of(store, "models/job-1/output/model.tar.gz") as archive:
        assert sorted(archive.getnames()) == [
            "config.json", "env.json", "train", "train/deep", "train/deep/part-1.csv", "train/part-0.csv",
        ]  # fmt: skip
    with archive_of(store, "models/job-1/output/output.tar.gz") as archive:
        assert "data/note.txt" in archive.getnames()


def test_a_job_sees_no_secret_of_this_process(compute: Compute) -> None:
    assert {"MLPLATFORM_SECRET_X", "AWS_SECRET_ACCESS_KEY"} <= set(os.environ)
    result = compute.run(_job("copies"))
    assert result.model_dir is not None
    env = json.loads((result.model_dir / "env.json").read_text())
    assert "MLPLATFORM_SECRET_X" not in env
    assert "AWS_SECRET_ACCESS_KEY" not in env


def test_a_finished_job_is_described_in_sagemaker_s_words(compute: Compute) -> None:
    compute.run(_job("copies", tags={"system": "s"}))
    found = compute.describe("job-1")
    assert found["TrainingJobStatus"] == "Completed"
    assert [t["Status"] for t in found["SecondaryStatusTransitions"]] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed",
    ]  # fmt: skip
    assert found["ModelArtifacts"]["S3ModelArtifacts"].endswith("models/job-1/output/model.tar.gz")
    assert found["FinalMetricDataList"][0]["Value"] == 1.0
    assert {"Key": "system", "Value": "s"} in found["Tags"]
    assert found["TrainingStartTime"] <= found["TrainingEndTime"]


def test_a_completed_job_keeps_no_copy_of_its_rows_and_a_failed_one_does(compute: Compute, tmp_path: Path) -> None:
    compute.run(_job("copies"))
    with pytest.raises(JobError):
        compute.run(_job("fails", name="job-2"))
    kept = [(tmp_path / "jobs" / name / "opt/ml/input/data").exists() for name in ("job-1", "job-2")]
    assert kept == [False, True]


def test_a_job_of_a_finished_name_is_not_run_again(compute: Compute) -> None:
    first = compute.run(_job("copies"))
    lines: list[str] = []
    again = compute.run(_job("copies"), on_log=lines.append)
    assert again == first
    assert lines[-1] == "last line"


def test_the_failure_file_is_surfaced(compute: Compute, tmp_path: Path) -> None:
    with pytest.raises(
        JobError, match=r"Job 'job-1' is Failed: AlgorithmError: Column 'x' is missing\., exit code: 5 Its log is"
    ):
        compute.run(_job("fails"))
    found = compute.describe("job-1")
    assert (found["TrainingJobStatus"], on_this_machine(tmp_path, "job-1")["ExitCode"]) == ("Failed", 5)
    with pytest.raises(JobError, match="Column 'x' is missing"):
        compute.run(_job("fails"))


def test_without_a_failure_file_the_log_s_last_line_is_surfaced(compute: Compute) -> None:
    lines: list[str] = []
    with pytest.raises(JobError, match="AlgorithmError: ValueError: no good, exit code: 1"):
        compute.run(_job("crashes"), on_log=lines.append)
    assert lines[0] == "about to"


def test_a_hanging_job_is_stopped_with_all_it_started(compute: Compute, tmp_path: Path) -> None:
    with pytest.raises(TimedOutError, match="Job 'job-1' is Stopped: It ran longer than 1 s"):
        compute.run(_job("sleeps", timeout_s=1))
    assert compute.describe("job-1")["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert _gone(tmp_path, "job-1")


def test_a_job_that_ignores_the_signal_is_killed_after_the_grace(compute: Compute, tmp_path: Path) -> None:
    thread, results = _background(compute, _job("ignores"))
    # Before that it does not ignore it.
    _wait_for_log(tmp_path / "jobs/job-1/job.log", "sleeping")
    compute.stop("job-1")
    thread.join(60)
    assert [type(r) for r in results] == [JobError]
    assert on_this_machine(tmp_path, "job-1")["ExitCode"] == -signal.SIGKILL
    assert _gone(tmp_path, "job-1")


def test_memory_of_all_the_job_s_processes_is_limited(compute: Compute, tmp_path: Path) -> None:
    if not compute.capabilities.memory_limit:
        pytest.skip("it has no limit but the machine's")
    with pytest.raises(JobError, match=r"It used \d+ MiB of memory; the limit is 100 MiB"):
        compute.run(_job("eats", memory_mib=100))
    found = compute.describe("job-1")
    assert found["TrainingJobStatus"] == "Failed"
    assert on_this_machine(tmp_path, "job-1")["PeakMemoryMiB"] > 100
    assert _gone(tmp_path, "job-1")


def test_what_a_finished_job_leaves_behind_is_ended(compute: Compute, tmp_path: Path) -> None:
    assert compute.run(_job("leaves")).status == "Completed"
    assert _gone(tmp_path, "job-1")


def test_an_interrupt_stops_the_job_cleanly_first(compute: Compute, tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt):
        compute.run(_job("sleeps"), on_log=interrupt)
    assert compute.describe("job-1")["TrainingJobStatus"] == "Stopped"
    assert _gone(tmp_path, "job-1")


def test_stop_from_elsewhere_stops_the_job(compute: Compute, tmp_path: Path) -> None:
    thread, results = _background(compute, _job("sleeps"))
    _wait_for_log(tmp_path / "jobs/job-1/job.log", "sleeping")
    compute.stop("job-1")
    thread.join(60)
    assert [type(r) for r in results] == [JobError]
    assert compute.describe("job-1")["TrainingJobStatus"] == "Stopped"
    assert compute.describe("job-1")["FailureReason"] == "Stopped on request."
    assert _gone(tmp_path, "job-1")
    compute.stop("job-1")


def test_a_running_job_is_joined_not_run_twice(compute: Compute, tmp_path: Path) -> None:
    thread, results = _background(compute, _job("sleeps"))
    _wait_for_log(tmp_path / "jobs/job-1/job.log", "sleeping")
    lines: list[str] = []

    def stop(line: str) -> None:
        lines.append(line)
        compute.stop("job-1")

    with pytest.raises(JobError, match="Stopped"):
        compute.run(_job("sleeps"), on_log=stop)
    thread.join(60)
    assert [type(r) for r in results] == [JobError]
    assert lines == ["sleeping"]
    assert (tmp_path / "jobs/job-1/job.log").read_text() == "sleeping\n"


RUNNER = """
import sys
from pathlib import Path
from mlplatform.adapters.compute.subprocess import SubprocessCompute
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.ports.compute import JobSpec
root = Path(sys.argv[1])
compute = SubprocessCompute(root / "jobs", DirectoryObjectStore(root / "objects"), containers=[root / "containers"])
compute.run(JobSpec("job-1", sys.argv[2], {}, (), "models/"))
"""


@pytest.fixture
def killed(tmp_path: Path, containers: Path, compute: Compute) -> Path:
    """A runner process that was killed with -9 while its job ran."""
    if compute.capabilities.outlives_runner:
        pytest.skip("its jobs outlive the runner")
    with subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path), "sleeps"]) as runner:
        try:
            _wait_for_log(tmp_path / "jobs/job-1/job.log", "sleeping")
        finally:
            runner.kill()
    return tmp_path


@pytest.mark.usefixtures("killed")
def test_resume_after_kill_of_the_runner_marks_the_job_failed_and_leaves_no_process(
    compute: Compute, tmp_path: Path
) -> None:
    found = compute.describe("job-1")
    assert found["TrainingJobStatus"] == "Failed"
    assert found["FailureReason"] == "The process that ran it died."
    assert _gone(tmp_path, "job-1")
    with pytest.raises(JobError, match="The process that ran it died"):
        compute.run(_job("sleeps"))
    assert compute.run(_job("copies", name="job-1-a2")).status == "Completed"


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
@pytest.mark.usefixtures("killed")
def test_a_job_does_not_outlive_its_killed_runner(compute: Compute, tmp_path: Path) -> None:
    session = ProcessId(**json.loads((tmp_path / "jobs/job-1/describe.json").read_text())["Local"]["Session"])
    deadline = time.monotonic() + 60
    while session.alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_jobs_are_listed_newest_first(compute: Compute) -> None:
    assert compute.list() == []
    for name in ("b-job", "a-job"):
        compute.run(_job("leaves", name=name))
        time.sleep(0.01)
    assert compute.list() == ["a-job", "b-job"]


def test_what_is_not_there_is_named(compute: Compute, containers: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no job 'none'"):
        compute.describe("none")
    with pytest.raises(NotFoundError, match="There is no container 'none'; there are: copies, crashes"):
        compute.run(_job("none"))
    with pytest.raises(DataError, match="Channel 'train' is empty: there is nothing under 'unload/nowhere/'"):
        compute.run(_job("copies", channels=(Channel("train", "unload/nowhere/"),)))
    assert compute.describe("job-1")["TrainingJobStatus"] == "Failed"
    with pytest.raises(DataError, match="'no/name' is no job name"):
        compute.run(_job("copies", name="no/name"))
    (containers / "copies" / "Dockerfile").write_text("FROM python\nENTRYPOINT python job.py\n")
    with pytest.raises(SpecError, match="has no line ENTRYPOINT"):
        compute.run(_job("copies", name="job-2"))


def test_a_local_folder_is_a_channel_too(compute: Compute, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x.csv").write_text("1\n")
    result = compute.run(_job("copies", channels=(Channel("train", str(tmp_path / "mine")),)))
    assert result.model_dir is not None
    assert (result.model_dir / "train" / "x.csv").read_text() == "1\n"


def test_the_shipped_container_s_command_is_this_interpreter() -> None:
    from mlplatform.adapters.compute.container import container_folders, find_container

    command = find_container("xgboost", container_folders()).command
    assert command == (sys.executable, "-m", "mlplatform.entrypoints.train_xgboost")
