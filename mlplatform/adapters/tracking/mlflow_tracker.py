"""What MLflow's client does for the port, wherever its runs are kept: staged candidates (logged models), versions, aliases.

MLflow looks before it writes, in steps of its own: writers of one home therefore queue at a lock file. A run counts as staged when
it has its digest as a tag, which is written last; what a killed process left is closed by the next one that stages.
"""

from __future__ import annotations

import contextlib
import fcntl
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from mlplatform.adapters.tracking.mlflow_errors import mapped
from mlplatform.adapters.tracking.package_cache import PackageCache
from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import GateError, NotFoundError
from mlplatform.ports.tracking import Candidate, ModelVersion, TrackedRun

DIGEST = "mlplatform.digest"
MODEL = "mlplatform.model"
LOGGED = "mlplatform.logged_model"


class MlflowTracker(ABC):
    """`root`: this home's folder, with the lock; `cache`: verified copies of packages; `ui_url`: where pages are, for links."""

    def __init__(self, root: Path, cache: Path, *, ui_url: str = "") -> None:
        self._root = root.absolute()
        self._cache = PackageCache(cache)
        self._ui_url = ui_url.rstrip("/")

    @abstractmethod
    def _opened(self) -> Any:
        """MLflow's client, which was seen to answer."""

    @abstractmethod
    def _location(self, experiment: str, /) -> str | None:
        """Where artifacts of a new experiment go; None: MLflow's server says."""

    @abstractmethod
    def _put(self, experiment: str, logged: Any, package: Path, /) -> None:
        """Store the package's files as those of the logged model."""

    @abstractmethod
    def _get(self, run: Any, digest: str, folder: Path, /) -> None:
        """Copy the files of the run's logged model into `folder`."""

    @abstractmethod
    def _source(self, run: Any) -> str:
        """Where the version that is made of the run says its files are."""

    @property
    def _own_tags(self) -> Mapping[str, str]:
        """Further tags of every run that is made here; only runs that have them are closed when they were left."""
        return {}

    def _mapped(self, what: str) -> contextlib.AbstractContextManager[None]:
        return mapped(what)

    def prepare(self) -> None:
        """Import MLflow's client, which takes about two seconds of processor time, and see that it answers."""
        with self._mapped("opening the tracker"):
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
            tags = {**run.tags, MODEL: model, **self._own_tags}
            if "code_version" in run.tags:
                tags["mlflow.source.git.commit"] = run.tags["code_version"]
            run_id = self._client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
            self._log(run_id, run.parameters, run.metrics)
            # Logged models take no dots in their names.
            logged = self._client.create_logged_model(experiment, name=model.replace(".", "-"), source_run_id=run_id)
            self._put(run.experiment, logged, run.package)
            self._client.finalize_logged_model(logged.model_id, "READY")
            self._output(run_id, logged.model_id)
            self._client.set_tag(run_id, LOGGED, logged.model_id)
            self._client.set_tag(run_id, DIGEST, digest)
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
                if version.tags.get(DIGEST) == digest:
                    return self._version(version, self._aliases(model))
            run = self._required(model, digest)
            if not self._client.search_registered_models(filter_string=f"name = '{model}'"):
                self._client.create_registered_model(model)
            made = self._client.create_model_version(
                model,
                source=self._source(run),
                run_id=run.info.run_id,
                model_id=run.data.tags[LOGGED],
                tags={DIGEST: digest},
            )
            return self._version(made, {})

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions, oldest first; empty for a model nobody registered."""
        with self._mapped(f"listing versions of '{model}'"):
            aliases = self._aliases(model)
            return [self._version(version, aliases) for version in self._versions(model)]

    def package(self, model: str, digest: str) -> Path:
        """A read-only local directory with the package of `digest`, checked against its hashes."""
        kept = self._cache.get(digest)
        if kept is not None:
            return kept
        what = f"'{model}' {digest[:12]}…"
        with self._mapped(f"fetching {what}"):
            run = self._required(model, digest)
            return self._cache.keep(digest, lambda folder: self._get(run, digest, folder), what=what)

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
            while runs := self._client.search_runs(experiments, filter_string=f"tags.`{MODEL}` = '{model}'"):
                for run in runs:
                    self._client.set_tag(run.info.run_id, MODEL, f"{mark}{model}")

    @cached_property
    def _client(self) -> Any:
        return self._opened()

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        with self._mapped(what):
            _ = self._client  # made before the lock is taken: making it takes the same lock
            with self._locked():
                yield

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(name, artifact_location=self._location(name)))

    def _close_left(self, experiment: str) -> None:
        """Close runs that a killed process left open; nobody else of this home is writing now."""
        ours = "".join(f" and tags.`{name}` = '{value}'" for name, value in self._own_tags.items())
        for run in self._client.search_runs([experiment], filter_string=f"attributes.status = 'RUNNING'{ours}"):
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
        # Two machines may have staged one digest at once: the first counts for both.
        runs = self._client.search_runs(
            experiments,
            filter_string=f"tags.`{DIGEST}` = '{digest}' and tags.`{MODEL}` = '{model}'",
            order_by=["attributes.start_time ASC"],
            max_results=1,
        )
        return runs[0] if runs else None

    def _required(self, model: str, digest: str) -> Any:
        run = self._find(model, digest)
        if run is None:
            raise NotFoundError(f"Model '{model}' has no candidate {digest[:12]}….", next_step="Train it.")
        return run

    def _candidate(self, model: str, digest: str, run: Any) -> Candidate:
        info = run.info
        url = f"{self._ui_url}/#/experiments/{info.experiment_id}/runs/{info.run_id}"
        return Candidate(model, digest, info.run_id, url if self._ui_url else f"runs:/{info.run_id}", _tags(run))

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
            digest=version.tags[DIGEST],
            run_id=version.run_id,
            metrics=dict(run.data.metrics),
            tags=_tags(run),
            aliases=tuple(sorted(alias for alias, of in aliases.items() if of == number)),
            created_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).isoformat(),
        )


def _tags(run: Any) -> dict[str, str]:
    """The run's tags but for MLflow's own and ours."""
    return {k: v for k, v in run.data.tags.items() if not k.startswith(("mlflow.", "mlplatform."))}
