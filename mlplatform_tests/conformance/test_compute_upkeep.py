"""Containers by their content, and jobs that are forgotten, on every compute back end."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform.errors import JobError, NotFoundError
from mlplatform.ports.compute import Compute
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.computes import backend, sagemaker_server, store
from mlplatform_tests.conformance.test_compute import _background as background
from mlplatform_tests.conformance.test_compute import _job as job
from mlplatform_tests.conformance.test_compute import _wait_for_log as wait_for_log
from mlplatform_tests.conformance.test_compute import compute, containers

__all__ = ["backend", "compute", "containers", "sagemaker_server", "store"]


def test_a_container_s_digest_follows_its_content_and_no_cache(compute: Compute, containers: Path) -> None:
    folder = containers / "leaves"
    first = compute.container_digest("leaves")
    assert first != compute.container_digest("copies")
    for cache in ("__pycache__/job.cpython-311.pyc", ".venv/bin/python3", ".mypy_cache/x"):
        (folder / cache).parent.mkdir(parents=True)
        (folder / cache).write_text("cached")
    assert compute.container_digest("leaves") == first
    (folder / "more").mkdir()
    (folder / "more" / "part.py").write_text("x = 1\n")
    second = compute.container_digest("leaves")
    (folder / "more" / "part.py").write_text("x = 2\n")
    third = compute.container_digest("leaves")
    (folder / "more" / "part.py").chmod(0o755)
    assert len({first, second, third, compute.container_digest("leaves")}) == 4
    with pytest.raises(NotFoundError, match="There is no container 'none'"):
        compute.container_digest("none")


def test_a_removed_job_is_forgotten_and_its_name_may_run_again(
    compute: Compute, store: ObjectStore, tmp_path: Path
) -> None:
    compute.run(job("leaves"))
    compute.run(job("leaves", "job-2"))
    for _ in range(2):
        compute.remove("job-1")
    assert compute.list() == ["job-2"]
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == ["job-2"]
    assert store.head("models/job-1/output/model.tar.gz") is not None
    assert compute.run(job("leaves")).status == "Completed"


def test_a_job_that_runs_is_stopped_before_it_is_removed(compute: Compute, tmp_path: Path) -> None:
    thread, results = background(compute, job("sleeps"))
    wait_for_log(tmp_path / "jobs/job-1/job.log", "sleeping")
    compute.remove("job-1")
    thread.join(60)
    assert len(results) == 1
    assert isinstance(results[0], JobError)
    assert compute.list() == []


def test_a_job_is_seen_running_with_what_it_occupies_until_it_ends(
    compute: Compute, tmp_path: Path, backend: str
) -> None:
    compute.run(job("leaves", "job-2"))
    assert compute.running() == ()
    thread, _ = background(compute, job("sleeps", tags={"system": "shop"}))
    wait_for_log(tmp_path / "jobs/job-1/job.log", "sleeping")
    [found] = compute.running()
    assert (found.name, found.system, found.status, found.hosts) == ("job-1", "shop", "Training", 1)
    assert found.machine == {"subprocess": "local", "sagemaker": "ml.m5.large"}[backend]
    assert found.since == compute.describe("job-1")["CreationTime"]
    compute.stop("job-1")
    thread.join(60)
    assert compute.running() == ()
