"""MLflow on SQLite: runs, staged candidates (logged models), registered versions, aliases. https://mlflow.org/docs/latest/

    <root>/mlflow.db                                      runs, versions, aliases
    <root>/artifacts/<experiment>/models/<id>/artifacts/  packages
    <cache>/<digest>/                                     verified, read-only copies

Importing MLflow takes a second and making its database two, so both happen at first use. SQLite takes one writer at a time.

A home may be moved or restored beside another one, so the database names no path: its locations are mlflow-artifacts:/…,
which MLflow's server resolves against the artifacts of the root it was started with. Packages are put there without
MLflow's client, which takes such a location for a server's.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from mlplatform.adapters.tracking.mlflow_client import new_client
from mlplatform.adapters.tracking.mlflow_tracker import LOGGED, MlflowTracker
from mlplatform.core.packages.manifest import read_package


class MlflowTracking(MlflowTracker):
    """MLflow under `root`; `ui_url` is where its pages are served, for links."""

    @property
    def tracking_uri(self) -> str:
        """What ``mlflow ui --backend-store-uri`` takes."""
        return f"sqlite:///{self._root / 'mlflow.db'}"

    def ui_command(self, host: str, port: int) -> list[str]:
        """MLflow's own server, with one process for its pages."""
        root = ["--backend-store-uri", self.tracking_uri, "--artifacts-destination", str(self._root / "artifacts")]
        return [sys.executable, "-m", "mlflow", "server", *root, "--host", host, "--port", str(port), "--workers", "1"]

    def _opened(self) -> Any:
        with self._locked():
            return new_client(self.tracking_uri)

    def _location(self, experiment: str) -> str:
        return f"mlflow-artifacts:/{experiment}"

    def _put(self, experiment: str, logged: Any, package: Path) -> None:
        shutil.copytree(package, self._root / "artifacts" / _stored(experiment, logged.model_id))

    def _get(self, run: Any, digest: str, folder: Path) -> None:
        # Found from the root, so that a home may move.
        source = self._root / "artifacts" / self._stored(run)
        # Looked at where it lies first, so that an error names that folder.
        read_package(source, digest=digest)
        shutil.copytree(source, folder, dirs_exist_ok=True)

    def _source(self, run: Any) -> str:
        return f"mlflow-artifacts:/{self._stored(run)}"

    def _stored(self, run: Any) -> PurePosixPath:
        experiment = str(self._client.get_experiment(run.info.experiment_id).name)
        return _stored(experiment, str(run.data.tags[LOGGED]))


def _stored(experiment: str, model_id: str) -> PurePosixPath:
    """A package's folder below the artifacts: where MLflow puts a logged model of the experiment."""
    return PurePosixPath(experiment, "models", model_id, "artifacts")
