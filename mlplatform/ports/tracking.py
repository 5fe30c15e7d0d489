"""Tracking and registry: runs with parameters and metrics, staged candidates, registered versions, aliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

ApprovalStatus = Literal["approved", "pending", "rejected"]


@dataclass(frozen=True)
class TrackedRun:
    """One training run to record. `tags` carry dagster run id, git commit, SnapshotRef id, training job."""

    experiment: str
    name: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    package: Path


@dataclass(frozen=True)
class Candidate:
    """A staged model: not registered, addressed by `digest` (of its package's manifest)."""

    model: str
    digest: str
    run_id: str
    run_url: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelVersion:
    """A registered version: `version` counts from 1 per model."""

    model: str
    version: int
    digest: str
    run_id: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    created_at: str


@dataclass(frozen=True)
class Approval:
    """What people said of a registered version: `said` in their words; `how`: who approves it, and by what."""

    status: ApprovalStatus
    said: str = ""
    how: str = ""


class Tracking(Protocol):
    """MLflow's role. Packages are stored as artifacts and fetched by digest, checked on the way."""

    def prepare(self) -> None:
        """Load what the first call would load; may be called from a thread of its own, and does nothing the next time."""

    def stage(self, run: TrackedRun, *, model: str, digest: str) -> Candidate:
        """Record the run with its package and stage it as a candidate; the same digest is staged once."""
        ...

    def register(self, model: str, digest: str, *, verdict: Mapping[str, Any]) -> ModelVersion:
        """Make a staged candidate a version; the same digest is registered once.

        Raises:
            NotFoundError: no candidate of that digest.
            GateError: `verdict` is not a pass, or is about another digest.
        """
        ...

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions, oldest first; empty for a model nobody registered."""
        ...

    def package(self, model: str, digest: str) -> Path:
        """A read-only local directory with the package of `digest`; its files were checked against their hashes.

        Raises:
            NotFoundError: no such candidate or version.
            StateError: a file does not match its hash.
        """
        ...

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        """Point `alias` (champion, challenger) at a version, or remove it."""
        ...

    def annotate(
        self, model: str, digest: str, *, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None
    ) -> None:
        """Add tags and metrics to the candidate's run."""
        ...

    def archive(self, model: str, *, mark: str) -> None:
        """Put candidates and versions of `model` out of sight, whole, under ``<mark><model>``: a model of that name starts
        with none, and loses no alias to an old one. No error where there is nothing.
        """
        ...


@runtime_checkable
class SelfHosted(Protocol):
    """A tracker whose pages this installation serves itself."""

    def ui_command(self, host: str, port: int) -> list[str]:
        """The program that serves them on (host, port); ``/health`` answers 200 once it does."""
        ...


@runtime_checkable
class Approving(Protocol):
    """A registry where people approve versions before they are deployed."""

    def approval(self, version: ModelVersion) -> Approval:
        """How the version stands there; approved where nobody is asked."""
        ...
