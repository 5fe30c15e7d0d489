"""MLflow on SQLite: runs, staged candidates (logged models), registered versions, aliases. https://mlflow.org/docs/latest/

    <root>/mlflow.db                                      runs, versions, aliases
    <root>/artifacts/<experiment>/models/<id>/artifacts/  packages
    <cache>/<digest>/                                     verified, read-only copies

Importing MLflow takes a second and making its database two, so both happen at first use. SQLite takes one writer at a
time, and MLflow looks before it writes in steps of its own: writers of all processes therefore queue at a lock file.
A run counts as staged when it has its digest as a tag, which is written last; what a killed process left is closed then.

A home may be moved or restored beside another one, so the database names no path: its locations are mlflow-artifacts:/…,
which MLflow's server resolves against the artifacts of the root it was started with. Packages are put there without
MLflow's client, which takes such a location for a server's.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from mlplatform.adapters.driver_imports import DRIVER_IMPORTS
from mlplatform.adapters.tracking.mlflow_errors import mapped
from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import GateError, NotFoundError, StateError
from mlplatform.ports.tracking import Candidate, ModelVersion, TrackedRun

_DIGEST = "mlplatform.digest"
_MODEL = "mlplatform.model"
_LOGGED = "mlplatform.logged_model"


class MlflowTracking:
    """MLflow under `root`; `ui_url` is where its pages are served, for links."""

    def __init__(self, root: Path, cache: Path, *, ui_url: str = "") -> None:
        self._root = root.absolute()
        self._cache = cache.absolute()
        self._ui_url = ui_url.rstrip("/")

    @property
    def tracking_uri(self) -> str:
        """What ``mlflow ui --backend-store-uri`` takes."""
        return f"sqlite:///{self._root / 'mlflow.db'}"

    def ui_command(self, host: str, port: int) -> list[str]:
        """MLflow's own server, with one process for its pages."""
        root = ["--backend-store-uri", self.tracking_uri, "--artifacts-destination", str(self._root / "artifacts")]
        return [sys.executable, "-m", "mlflow", "server", *root, "--host", host, "--port", str(port), "--workers", "1"]

    def prepare(self) -> None:
        """Import MLflow's client, which takes about two seconds of processor time, and open its database."""
        with mapped("opening the tracker"):
            _ = self._client

    def stage(self, run: TrackedRun, *, model: str, digest: str) -> Candidate:
        """Record the run with its package and stage it as a candidate; the same digest is staged once."""
        read_package(run.package, digest=digest)
        with self._writing(f"staging '{model}' {digest[:12]}…"):
            found = self._find(model, digest)
            if found is not None:
                return self._candidate(model, digest, found)
            experiment = self._experiment(run.experiment)
            self._close_left(experiment)
            tags = {**run.tags, _MODEL: model}
            if "code_version" in run.tags:
                tags["mlflow.source.git.commit"] = run.tags["code_version"]
            run_id = self._client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
            self._log(run_id, run.parameters, run.metrics)
            # Logged models take no dots in their names.
            logged = self._client.create_logged_model(experiment, name=model.replace(".", "-"), source_run_id=run_id)
            shutil.copytree(run.package, self._root / "artifacts" / _stored(run.experiment, logged.model_id))
            self._client.finalize_logged_model(logged.model_id, "READY")
            self._output(run_id, logged.model_id)
            self._client.set_tag(run_id, _LOGGED, logged.model_id)
            self._client.set_tag(run_id, _DIGEST, digest)
            self._client.set_terminated(run_id)
            return self._candidate(model, digest, self._client.get_run(run_id))

    def register(self, model: str, digest: str, *, verdict: Mapping[str, Any]) -> ModelVersion:
        """Make a staged candidate a version; the same digest is registered once. Raises GateError without a pass."""
        if verdict.get("passed") is not True or verdict.get("digest") != digest:
            about = "no pass" if verdict.get("digest") == digest else "about another candidate"
            raise GateError(
                f"'{model}' {digest[:12]}… is not registered: its verdict is {about}.", next_step="Run the gate on it."
            )
        with self._writing(f"registering '{model}' {digest[:12]}…"):
            for version in self._versions(model):
                if version.tags.get(_DIGEST) == digest:
                    return self._version(version, self._aliases(model))
            run = self._required(model, digest)
            if not self._client.search_registered_models(filter_string=f"name = '{model}'"):
                self._client.create_registered_model(model)
            made = self._client.create_model_version(
                model,
                source=_location(self._stored(run)),
                run_id=run.info.run_id,
                model_id=run.data.tags[_LOGGED],
                tags={_DIGEST: digest},
            )
            return self._version(made, {})

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions, oldest first; empty for a model nobody registered."""
        with mapped(f"listing versions of '{model}'"):
            aliases = self._aliases(model)
            return [self._version(version, aliases) for version in self._versions(model)]

    def package(self, model: str, digest: str) -> Path:
        """A read-only local directory with the package of `digest`, checked against its hashes."""
        target = self._cache / digest
        if target.is_dir():
            try:
                read_package(target, digest=digest)
            except StateError:
                _remove(target)
            else:
                return target
        with mapped(f"fetching '{model}' {digest[:12]}…"):
            # Found from the root, so that a home may move.
            source = self._root / "artifacts" / self._stored(self._required(model, digest))
        # Looked at where it lies first, so that an error names that folder.
        read_package(source, digest=digest)
        self._cache.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{digest[:12]}.", dir=self._cache))
        try:
            shutil.copytree(source, aside, dirs_exist_ok=True)
            read_package(aside, digest=digest)
            for path in aside.iterdir():
                path.chmod(0o444)
            aside.chmod(0o555)
            aside.rename(target)
        except OSError as error:
            _remove(aside)
            if not target.is_dir():  # else another process was first, with the same content
                raise StateError(f"The package of '{model}' {digest[:12]}… cannot be read: {error}.") from error
        except BaseException:
            _remove(aside)
            raise
        return target

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        """Point `alias` at a version, or remove it. Raises NotFoundError for a version there is not."""
        with self._writing(f"setting alias '{alias}' of '{model}'"):
            if version is not None and version not in [int(v.version) for v in self._versions(model)]:
                raise NotFoundError(
                    f"Model '{model}' has no version {version}.", next_step="mlplatform models shows those there are."
                )
            if version is not None:
                self._client.set_registered_model_alias(model, alias, str(version))
            elif alias in self._aliases(model):
                self._client.delete_registered_model_alias(model, alias)

    def annotate(
        self, model: str, digest: str, *, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None
    ) -> None:
        """Add tags and metrics to the candidate's run. Raises NotFoundError where there is none."""
        with self._writing(f"annotating '{model}' {digest[:12]}…"):
            run_id = self._required(model, digest).info.run_id
            for name, value in tags.items():
                self._client.set_tag(run_id, name, value)
            self._log(run_id, {}, metrics or {})

    def archive(self, model: str, *, mark: str) -> None:
        """Rename the registered model, then its runs; one that was broken off is asked for again."""
        with self._writing(f"archiving '{model}'"):
            for alias in self._aliases(model):
                self._client.delete_registered_model_alias(model, alias)
            if self._client.search_registered_models(filter_string=f"name = '{model}'"):
                self._client.rename_registered_model(model, f"{mark}{model}")
            experiments = [e.experiment_id for e in self._client.search_experiments()]
            while runs := self._client.search_runs(experiments, filter_string=f"tags.`{_MODEL}` = '{model}'"):
                for run in runs:
                    self._client.set_tag(run.info.run_id, _MODEL, f"{mark}{model}")

    @cached_property
    def _client(self) -> Any:
        # Read when MLflow is imported: it reports home otherwise.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        with DRIVER_IMPORTS, warnings.catch_warnings():
            # Deprecations between MLflow and what it is built on; nothing a caller could change.
            warnings.simplefilter("ignore")
            from mlflow.tracking import MlflowClient

            # Importing it sets its own level; its database's set-up is nobody's news.
            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.WARNING)
            with _locked(self._root):
                client = MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)
                client.search_registered_models(max_results=1)
        return client

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        with mapped(what):
            _ = self._client  # made before the lock is taken: making it takes the same lock
            with _locked(self._root):
                yield

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(name, artifact_location=_location(name)))

    def _close_left(self, experiment: str) -> None:
        """Close runs that a killed process left open; nobody else is writing now."""
        for run in self._client.search_runs([experiment], filter_string="attributes.status = 'RUNNING'"):
            self._client.set_terminated(run.info.run_id, status="KILLED")

    def _log(self, run_id: str, parameters: Mapping[str, str], metrics: Mapping[str, float]) -> None:
        for name, text in parameters.items():
            self._client.log_param(run_id, name, text)
        for name, value in metrics.items():
            self._client.log_metric(run_id, name, value)

    def _output(self, run_id: str, model_id: str) -> None:
        from mlflow.entities import LoggedModelOutput

        self._client.log_outputs(run_id, [LoggedModelOutput(model_id, 0)])

    def _find(self, model: str, digest: str) -> Any | None:
        experiments = [e.experiment_id for e in self._client.search_experiments()]
        runs = self._client.search_runs(
            experiments, filter_string=f"tags.`{_DIGEST}` = '{digest}' and tags.`{_MODEL}` = '{model}'", max_results=1
        )
        return runs[0] if runs else None

    def _required(self, model: str, digest: str) -> Any:
        run = self._find(model, digest)
        if run is None:
            raise NotFoundError(f"Model '{model}' has no candidate {digest[:12]}….", next_step="Train it.")
        return run

    def _stored(self, run: Any) -> PurePosixPath:
        experiment = str(self._client.get_experiment(run.info.experiment_id).name)
        return _stored(experiment, str(run.data.tags[_LOGGED]))

    def _candidate(self, model: str, digest: str, run: Any) -> Candidate:
        info = run.info
        url = f"{self._ui_url}/#/experiments/{info.experiment_id}/runs/{info.run_id}"
        tags = {k: v for k, v in run.data.tags.items() if not k.startswith(("mlflow.", "mlplatform."))}
        return Candidate(model, digest, info.run_id, url if self._ui_url else f"runs:/{info.run_id}", tags)

    def _versions(self, model: str) -> list[Any]:
        return sorted(self._client.search_model_versions(f"name = '{model}'"), key=lambda v: int(v.version))

    def _aliases(self, model: str) -> dict[str, int]:
        found = self._client.search_registered_models(filter_string=f"name = '{model}'")
        return {alias: int(version) for alias, version in found[0].aliases.items()} if found else {}

    def _version(self, version: Any, aliases: Mapping[str, int]) -> ModelVersion:
        run = self._client.get_run(version.run_id)
        number = int(version.version)
        return ModelVersion(
            model=version.name,
            version=number,
            digest=version.tags[_DIGEST],
            run_id=version.run_id,
            metrics=dict(run.data.metrics),
            tags={k: v for k, v in run.data.tags.items() if not k.startswith(("mlflow.", "mlplatform."))},
            aliases=tuple(sorted(alias for alias, of in aliases.items() if of == number)),
            created_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).isoformat(),
        )


def _stored(experiment: str, model_id: str) -> PurePosixPath:
    """A package's folder below the artifacts: where MLflow puts a logged model of the experiment."""
    return PurePosixPath(experiment, "models", model_id, "artifacts")


def _location(stored: PurePosixPath | str) -> str:
    return f"mlflow-artifacts:/{stored}"


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
