"""Jobs that are no training, on every compute: folders in, folders out, in SageMaker's processing contract."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlplatform.errors import DataError, JobError, TimedOutError
from mlplatform.ports.compute import Channel, Compute, JobSpec
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.computes import backend, compute_of, lay_programs, sagemaker_server, store

__all__ = ["backend", "sagemaker_server", "store"]

SCRIPTS = {
    "counts": """
        import json, os, pathlib, sys
        rows = pathlib.Path(os.environ["MLPLATFORM_INPUT_THE_ROWS"])
        config = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "config")
        job = json.loads((config / "processingjobconfig.json").read_text())
        told = {i["InputName"]: i["S3Input"]["LocalPath"] for i in job["ProcessingInputs"]}
        assert sorted(p.name for p in pathlib.Path(told["the-rows"]).rglob("*.csv")) == ["part-0.csv", "part-1.csv"]
        hosts = json.loads((config / "resourceconfig.json").read_text())
        out = pathlib.Path(os.environ["MLPLATFORM_OUTPUT_COUNTS"])
        (out / "deep").mkdir()
        (out / "deep" / "counts.json").write_text(json.dumps({
            "files": sum(1 for p in rows.rglob("*.csv")), "arguments": sys.argv[1:], "hosts": hosts["hosts"],
            "extra": os.environ["EXTRA"], "name": job["ProcessingJobName"],
        }))
        pathlib.Path(os.environ["MLPLATFORM_OUTPUT_LOG"], "said.txt").write_text("done")
        print("[0] rows:count: 2")
    """,
    "fails": "print('no such column'); raise SystemExit(3)",
    "sleeps": "import time; print('sleeping', flush=True); time.sleep(600)",
}


@pytest.fixture
def compute(backend: str, tmp_path: Path, store: ObjectStore) -> Compute:
    lay_programs(tmp_path / "containers", SCRIPTS)
    return compute_of(backend, tmp_path, store)


def _job(container: str = "counts", name: str = "job-p1", **changes: Any) -> JobSpec:
    job = JobSpec(
        name,
        container,
        {},
        (Channel("the-rows", "unload/a/"),),
        "results/",
        environment={"EXTRA": "1"},
        outputs=("counts", "log"),
        arguments=("--fast", "yes"),
    )
    return replace(job, **changes)


def test_a_processing_job_sees_its_folders_and_what_it_leaves_comes_back(compute: Compute, store: ObjectStore) -> None:
    lines: list[str] = []
    found = compute.run(_job(), on_log=lines.append)
    assert (found.status, found.model_dir, found.metrics) == ("Completed", None, {"rows:count": 2.0})
    assert lines == ["[0] rows:count: 2"]
    assert found.output_dir is not None
    counted = json.loads((found.output_dir / "counts" / "deep" / "counts.json").read_text())
    expected = {"files": 2, "arguments": ["--fast", "yes"], "hosts": ["algo-1"], "extra": "1", "name": "job-p1"}
    assert counted == expected
    keys = sorted(info.key for info in store.list("results/"))
    assert keys == ["results/job-p1/output/counts/deep/counts.json", "results/job-p1/output/log/said.txt"]
    described = compute.describe("job-p1")
    assert (described["TrainingJobStatus"], described["ProcessingOutputs"]) == ("Completed", ["counts", "log"])
    assert described["TrainingEndTime"] >= described["CreationTime"]


def test_a_processing_job_of_a_finished_name_is_not_run_again(compute: Compute, store: ObjectStore) -> None:
    first = compute.run(_job())
    store.delete("results/job-p1/output/log/said.txt")
    assert compute.run(_job()) == first
    assert [info.key for info in store.list("results/job-p1/output/log/")] == []


def test_a_processing_job_that_fails_says_why_and_leaves_nothing(compute: Compute, store: ObjectStore) -> None:
    with pytest.raises(JobError, match=r"Job 'job-p1' is Failed: AlgorithmError: no such column, exit code: 3"):
        compute.run(_job("fails"))
    assert compute.describe("job-p1")["TrainingJobStatus"] == "Failed"
    assert list(store.list("results/")) == []


def test_a_processing_job_without_input_says_what_is_empty(compute: Compute) -> None:
    with pytest.raises(DataError, match=r"Channel 'x' is empty: there is nothing under 'nowhere/'"):
        compute.run(_job(channels=(Channel("x", "nowhere/"),)))


def test_a_hanging_processing_job_is_stopped(compute: Compute) -> None:
    with pytest.raises(TimedOutError, match="Job 'job-p1' is Stopped: It ran longer than 1 s"):
        compute.run(_job("sleeps", timeout_s=1))


def test_an_interrupt_stops_the_processing_job_first(compute: Compute) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt):
        compute.run(_job("sleeps"), on_log=interrupt)
    assert compute.describe("job-p1")["TrainingJobStatus"] == "Stopped"
    compute.remove("job-p1")
    compute.remove("job-p1")
