"""``mlflow server``: a process of its own on a free port, with a database and a folder of artifacts; emptied between tests."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import running


@dataclass(frozen=True)
class MlflowServer:
    """A running server; `folder` has its database, its log and, where it serves them itself, its artifacts."""

    url: str
    folder: Path

    def empty(self) -> None:
        """Take all registered models and runs out of sight."""
        client = self._client()
        for model in client.search_registered_models():
            client.delete_registered_model(model.name)
        experiments = [e.experiment_id for e in client.search_experiments()]
        for run in client.search_runs(experiments):
            client.delete_run(run.info.run_id)

    def _client(self) -> Any:
        from mlplatform.adapters.tracking.mlflow_client import new_client

        return new_client(self.url)


@contextlib.contextmanager
def mlflow_server(folder: Path, *, artifacts: str = "", env: Mapping[str, str] | None = None) -> Iterator[MlflowServer]:
    """A server of its own; `artifacts`: an ``s3://`` place that its clients use themselves, else they go through it."""
    port = free_port()
    where = (
        ["--no-serve-artifacts", "--default-artifact-root", artifacts]
        if artifacts
        else ["--artifacts-destination", str(folder / "artifacts")]
    )
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        *where,
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{url}/health").status_code == 200
        return False

    with running(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        ready=ready,
        log=folder / "server.log",
        env={**os.environ, **quiet, **(env or {})},
        deadline_s=120.0,
        cwd=folder,
    ):
        yield MlflowServer(url, folder)
