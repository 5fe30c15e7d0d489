"""Jobs on several hosts, on every compute back end: a tree each, one log, one fate."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlplatform.adapters.compute.subprocess import SubprocessCompute
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.errors import JobError, SpecError, TimedOutError
from mlplatform.ports.compute import Channel, Compute, JobSpec
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.computes import (
    archive_of,
    backend,
    compute_of,
    on_this_machine,
    sagemaker_server,
    store,
)
from mlplatform_tests.conformance.test_compute import _job
from mlplatform_tests.conformance.test_compute import _wait_for_log as wait_for_log

__all__ = ["backend", "sagemaker_server", "store"]

HOST = 'import os, pathlib, sys, time; host = os.environ["SM_CURRENT_HOST"]; '
SCRIPTS = {
    "tells": """
        import json
        print("I am", host, flush=True)
        print("[0] test:rmse: 2.5", flush=True)
        config = json.loads(pathlib.Path(os.environ["SM_INPUT_CONFIG_DIR"], "resourceconfig.json").read_text())
        seen = {
            "config": config, "env": {k: v for k, v in os.environ.items() if k.startswith("SM_")},
            "train": sorted(p.name for p in pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).rglob("*.csv")),
        }
        pathlib.Path(os.environ["SM_MODEL_DIR"], "seen.json").write_text(json.dumps(seen))
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "seen.json").write_text(json.dumps(seen))
    """,
    "second_fails": """
        if host == "algo-2":
            pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("Column 'x' is missing.")
            time.sleep(0.3)
            sys.exit(5)
        while not pathlib.Path(os.environ["SM_OUTPUT_DIR"], "../../../hosts/algo-2/opt/ml/output/failure").exists():
            time.sleep(0.01)
        print("the other is gone", flush=True)
        sys.exit(1)
    """,
    "second_dies": """
        print("works", flush=True)
        if host == "algo-2":
            print("soon gone", flush=True)
            os.kill(os.getpid(), 9)
        time.sleep(600)
    """,
    "second_eats": """
        taken = bytearray((150 if host == "algo-2" else 1) << 20)
        time.sleep(600)
    """,
    "sleeps": """
        import subprocess
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("sleeping", flush=True)
        time.sleep(600)
    """,
    "counts": """
        import json
        at = pathlib.Path(json.loads(pathlib.Path(os.environ["SM_INPUT_CONFIG_DIR"], "checkpointconfig.json").read_text())["LocalPath"])
        last = max([int(p.suffix[1:]) for p in at.glob("checkpoint.*")], default=0)
        print("begins behind", last, flush=True)
        if host == "algo-2" and not last:
            (at / ".here").touch()
            time.sleep(600)
        if host == "algo-1":
            other = at.parents[2] / "hosts/algo-2/opt/ml/checkpoints"
            while not last and not (other / ".here").exists():
                time.sleep(0.01)
            for n in range(last + 1, last + 4):
                (at / f"checkpoint.{n}").write_text(str(n))
                (at / f"checkpoint.{n - 2}").unlink(missing_ok=True)
        (at / ".checkpoint.99").write_text("half of it")
        sys.exit(0 if last else 1)
    """,
}


@pytest.fixture
def compute(backend: str, tmp_path: Path, store: ObjectStore) -> Compute:
    for name, text in SCRIPTS.items():
        folder = tmp_path / "containers" / name
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text(
            'FROM python\nLABEL mlplatform.distributed=true\nENTRYPOINT ["python", "job.py"]\n'
        )
        (folder / "job.py").write_text(f"{HOST}\n{textwrap.dedent(text)}")
    return compute_of(backend, tmp_path, store)


def _pair(container: str, **changes: Any) -> JobSpec:
    return replace(_job(container), hosts=2, **changes)


def _alive(tmp_path: Path) -> list[int]:
    sessions = [host["Session"]["pid"] for host in on_this_machine(tmp_path, "job-1")["Hosts"].values()]
    assert len(sessions) == 2
    alive = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process.pid)
    return alive


def test_each_host_has_a_tree_of_its_own_and_knows_all(compute: Compute, store: ObjectStore, tmp_path: Path) -> None:
    lines: list[str] = []
    result = compute.run(_pair("tells"), on_log=lines.append)
    assert result.model_dir is not None
    first = json.loads((result.model_dir / "seen.json").read_text())
    with archive_of(store, "models/job-1/output/model.tar.gz") as archive:
        assert archive.getnames() == ["seen.json"]
    with archive_of(store, "models/job-1/output/output.tar.gz") as archive:
        member = archive.extractfile("data/algo-2/seen.json")
        assert member is not None
        second = json.loads(member.read())
        assert json.loads((archive.extractfile("data/seen.json") or member).read()) == first
    assert [seen["config"]["current_host"] for seen in (first, second)] == ["algo-1", "algo-2"]
    for seen in (first, second):
        assert seen["config"]["hosts"] == json.loads(seen["env"]["SM_HOSTS"]) == ["algo-1", "algo-2"]
        assert seen["config"]["network_interface_name"] == "lo"
        assert seen["env"]["SM_HOST_COUNT"] == "2"
        assert seen["train"] == ["part-0.csv", "part-1.csv"]
    assert first["env"]["SM_MASTER_PORT"] == second["env"]["SM_MASTER_PORT"]
    assert first["env"]["SM_MODEL_DIR"] != second["env"]["SM_MODEL_DIR"]
    assert sorted(lines) == [f"algo-{n} | {text}" for n in (1, 2) for text in (f"I am algo-{n}", "[0] test:rmse: 2.5")]
    assert result.metrics == {"test:rmse": 2.5}
    assert result.log_path is not None
    assert result.log_path.read_text().splitlines() == lines
    described = compute.describe("job-1")
    assert described["ResourceConfig"]["InstanceCount"] == 2
    assert [host["ExitCode"] for host in on_this_machine(tmp_path, "job-1")["Hosts"].values()] == [0, 0]


def test_a_sharded_channel_s_objects_are_each_on_one_host(compute: Compute, store: ObjectStore) -> None:
    for number in range(3):
        store.put(f"unload/many/part-{number}.csv", b"1,2\n")
    compute.run(_pair("tells", channels=(Channel("train", "unload/many/", sharded=True),)))
    with archive_of(store, "models/job-1/output/output.tar.gz") as archive:
        members = [archive.extractfile(f"data/{path}seen.json") for path in ("", "algo-2/")]
        seen = [json.loads(member.read()) for member in members if member is not None]
    assert [found["train"] for found in seen] == [["part-0.csv", "part-2.csv"], ["part-1.csv"]]


def test_the_host_that_failed_first_is_named_with_its_last_words(compute: Compute, tmp_path: Path) -> None:
    with pytest.raises(
        JobError, match=r"AlgorithmError: Host algo-2: Column 'x' is missing\., exit code: 5 Its log is"
    ):
        compute.run(_pair("second_fails"))
    assert on_this_machine(tmp_path, "job-1")["ExitCode"] == 5


def test_a_host_that_dies_ends_the_whole_job_at_once(compute: Compute, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="AlgorithmError: Host algo-2: soon gone, killed by signal 9"):
        compute.run(_pair("second_dies"))
    assert _alive(tmp_path) == []


def test_each_host_has_the_memory_limit_for_itself(compute: Compute, tmp_path: Path) -> None:
    if not compute.capabilities.memory_limit:
        pytest.skip("it has no limit but the machine's")
    with pytest.raises(JobError, match=r"Host algo-2: It used \d+ MiB of memory; the limit is 100 MiB"):
        compute.run(_pair("second_eats", memory_mib=100))
    found = on_this_machine(tmp_path, "job-1")
    assert found["Hosts"]["algo-1"]["PeakMemoryMiB"] < 100 < found["PeakMemoryMiB"]
    assert _alive(tmp_path) == []


def test_a_job_out_of_time_is_stopped_on_every_host(compute: Compute, tmp_path: Path) -> None:
    with pytest.raises(TimedOutError):
        compute.run(_pair("sleeps", timeout_s=1))
    assert _alive(tmp_path) == []


RUNNER = """
import sys
from pathlib import Path
from mlplatform.adapters.compute.subprocess import SubprocessCompute
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.ports.compute import JobSpec
root = Path(sys.argv[1])
compute = SubprocessCompute(root / "jobs", DirectoryObjectStore(root / "objects"), containers=[root / "containers"])
compute.run(JobSpec("job-1", "sleeps", {}, (), "models/", hosts=2))
"""


def test_resume_after_kill_of_the_runner_leaves_no_process_of_any_host(compute: Compute, tmp_path: Path) -> None:
    if compute.capabilities.outlives_runner:
        pytest.skip("its jobs outlive the runner")
    with subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path)]) as runner:
        try:
            for host in ("algo-1", "algo-2"):
                wait_for_log(tmp_path / "jobs/job-1/job.log", f"{host} | sleeping")
        finally:
            runner.send_signal(signal.SIGKILL)
    found = compute.describe("job-1")
    assert found["FailureReason"] == "The process that ran it died."
    assert _alive(tmp_path) == []


def test_checkpoints_are_kept_while_the_job_runs_and_laid_before_the_next_attempt(
    compute: Compute, store: ObjectStore
) -> None:
    job = _pair("counts", checkpoint_prefix="jobs/k/checkpoints/")
    lines: list[str] = []
    with pytest.raises(JobError):
        compute.run(job, on_log=lines.append)
    stored = sorted(info.key for info in store.list("jobs/k/checkpoints/"))
    assert stored == ["jobs/k/checkpoints/checkpoint.2", "jobs/k/checkpoints/checkpoint.3"]
    compute.run(replace(job, name="job-1-a2"), on_log=lines.append)
    assert sorted(lines) == [f"algo-{n} | begins behind {last}" for n in (1, 2) for last in (0, 3)]
    stored = sorted(info.key.rpartition(".")[2] for info in store.list("jobs/k/checkpoints/"))
    assert stored == ["5", "6"]


def test_more_hosts_than_a_container_or_this_machine_can_use_are_refused_by_name(
    compute: Compute, tmp_path: Path
) -> None:
    (tmp_path / "containers/alone").mkdir()
    (tmp_path / "containers/alone/Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "job.py"]\n')
    with pytest.raises(SpecError, match="Container 'alone' trains on one host; the model asks for 2"):
        compute.run(_pair("alone"))
    most = compute.capabilities.max_hosts
    with pytest.raises(SpecError, match=f"has 1 to {most} hosts; job 'job-1' asks for {most + 1}"):
        compute.run(replace(_job("tells"), hosts=most + 1))
    assert compute.list() == []


def test_a_job_has_the_secrets_it_names_in_its_environment_and_nowhere_else(
    tmp_path: Path,
) -> None:
    store = DirectoryObjectStore(tmp_path / "objects")
    store.put("unload/a/part-0.csv", b"1,2\n")
    folder = tmp_path / "containers/asks"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "job.py"]\n')
    (folder / "job.py").write_text(
        "import os; print(len(os.environ['MLPLATFORM_SECRET_DB_PASSWORD']), "
        "[name for name in os.environ if name.startswith('MLPLATFORM_SECRET')])"
    )
    held = EnvironmentSecrets({"MLPLATFORM_SECRET_DB_PASSWORD": "hunter22", "MLPLATFORM_SECRET_OTHER": "s3cret"})
    compute = SubprocessCompute(tmp_path / "jobs", store, containers=[tmp_path / "containers"], secrets=lambda: held)
    lines: list[str] = []
    compute.run(replace(_job("asks"), secrets=("db-password", "not_set")), on_log=lines.append)
    assert lines == ["8 ['MLPLATFORM_SECRET_DB_PASSWORD']"]
    told = [path for path in (tmp_path / "jobs").rglob("*") if path.is_file() and b"hunter22" in path.read_bytes()]
    assert told == []


def test_only_a_job_that_reaches_aws_has_the_credentials_of_whoever_runs_it(
    tmp_path: Path,
) -> None:
    store = DirectoryObjectStore(tmp_path / "objects")
    store.put("unload/a/part-0.csv", b"1,2\n")
    folder = tmp_path / "containers/asks"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "job.py"]\n')
    (folder / "job.py").write_text("import os; print(sorted(name for name in os.environ if name.startswith('AWS_')))")
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "known", "AWS_SECRET_ACCESS_KEY": "hunter22"}
    compute = SubprocessCompute(tmp_path / "jobs", store, containers=[tmp_path / "containers"], environment=environment)
    lines: list[str] = []
    compute.run(replace(_job("asks"), name="without"), on_log=lines.append)
    compute.run(replace(_job("asks"), name="with", aws=True), on_log=lines.append)
    assert lines[0] == "[]"
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(lines[1][2:-2].split("', '"))
    told = [path for path in (tmp_path / "jobs").rglob("*") if path.is_file() and b"hunter22" in path.read_bytes()]
    assert told == []
