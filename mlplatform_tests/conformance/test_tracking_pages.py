"""The tracker's own pages: what its server shows of a home that was moved."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from mlplatform.adapters.tracking.mlflow import MlflowTracking
from mlplatform.ports.tracking import SelfHosted, TrackedRun
from mlplatform_tests.packages import make_package
from mlplatform_tests.servers.ports import free_port


def test_the_pages_of_a_moved_home_serve_its_packages(tmp_path: Path) -> None:
    package = tmp_path / "package"
    digest = make_package(package, seed=0, runtime="xgboost")
    tracking = MlflowTracking(tmp_path / "first", tmp_path / "cache")
    staged = tracking.stage(TrackedRun("e", "n", {}, {}, {}, package), model="m", digest=digest)
    shutil.move(tmp_path / "first", tmp_path / "moved")
    moved = MlflowTracking(tmp_path / "moved", tmp_path / "cache")
    with _served(moved, tmp_path) as base:
        run = httpx.get(f"{base}/runs/get", params={"run_id": staged.run_id}).json()["run"]
        (output,) = run["outputs"]["model_outputs"]
        artifacts = f"{base}/logged-models/{output['model_id']}/artifacts"
        listed = httpx.get(f"{artifacts}/directories").json()["files"]
        assert {f["path"]: int(f["file_size"]) for f in listed} == {p.name: p.stat().st_size for p in package.iterdir()}
        fetched = httpx.get(f"{artifacts}/files", params={"artifact_file_path": "model.ubj"})
        assert fetched.content == (package / "model.ubj").read_bytes()
    assert not (tmp_path / "first").exists()


@contextlib.contextmanager
def _served(tracking: SelfHosted, folder: Path) -> Iterator[str]:
    """The address of the pages' API while they are served."""
    port = free_port()
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("wb") as log:
        command = tracking.ui_command("127.0.0.1", port)
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", server, deadline_s=120)
        yield f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(90)


def _wait_for(url: str, server: subprocess.Popen[bytes], *, deadline_s: float) -> None:
    until = time.monotonic() + deadline_s
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"{url} does not answer; the server's exit code: {server.poll()}")
