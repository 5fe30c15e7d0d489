"""Endpoints: what should serve, and what does.

A run writes *desired* state; whoever serves reconciles towards it and writes back what is live. A deployment record is
immutable per generation; the record's `generation` counts every change of what an endpoint serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

DeploymentStatus = Literal["Updating", "InService", "Failed", "RollingBack"]


@dataclass(frozen=True)
class Deployment:
    """Desired state of one endpoint, generation `generation`.

    Attributes:
        endpoint: ``<system>/<endpoint>``; its route is ``/predict/<endpoint>``.
        digest, version: the model package to serve, and its registered version.
        reason: why it was made: ``refresh``, ``rollback``, ``promote`` with who asked.
        settings: the endpoint's spec as JSON (capture, limits), frozen with the generation.
    """

    endpoint: str
    generation: int
    model: str
    version: int
    digest: str
    reason: str
    run_id: str
    created_at: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class EndpointState:
    """Observed state: the generation every live worker answers with, and since when.

    `machine`: what each worker occupies, where that is not this machine, and is known.
    """

    endpoint: str
    desired: Deployment | None
    live_generation: int
    status: DeploymentStatus
    workers: int
    message: str = ""
    machine: str = ""


class Endpoints(Protocol):
    """SageMaker endpoints' role."""

    def deploy(self, deployment: Deployment) -> None:
        """Make `deployment` the desired state.

        Raises:
            ConflictError: its generation is not the current one plus one (another deploy came first). An endpoint
                without any may begin at a later one than 1, where one of its name was removed.
        """
        ...

    def desired(self, endpoint: str) -> Deployment | None:
        """The newest deployment record, or None for an endpoint that never had one."""
        ...

    def history(self, endpoint: str) -> list[Deployment]:
        """All generations, oldest first."""
        ...

    def state(self, endpoint: str) -> EndpointState:
        """What serves now."""
        ...

    def wait(self, endpoint: str, generation: int, *, timeout_s: float) -> EndpointState:
        """Wait until every live worker answers with `generation` (or a later one).

        Raises:
            TimedOutError: it did not within `timeout_s`, or nobody serves; the message says which.
            JobError: the generation cannot be served (corrupt package); the previous one goes on serving.
        """
        ...

    def list(self) -> list[str]:
        """Names of endpoints that have a deployment record."""
        ...

    def remove(self, endpoint: str) -> None:
        """Stop serving and forget the endpoint."""
        ...


@dataclass(frozen=True)
class Served:
    """What one worker says of one endpoint: the generation it answers with (0 = none yet), and the newest it cannot load."""

    generation: int = 0
    failed_generation: int = 0
    message: str = ""


class ServingDesk(Protocol):
    """The port's other side, one a serving process: what it should serve, and what it says it does."""

    def changed(self) -> bool:
        """Whether `desired` would say something new since it was last read; cheap enough for ten calls a second."""
        ...

    def desired(self) -> dict[str, Deployment]:
        """The newest deployment record of each endpoint."""
        ...

    def acknowledge(self, served: Mapping[str, Served], *, ready: bool) -> None:
        """Say what this process serves; until `ready` it is waited for but not counted."""
        ...

    def leave(self) -> None:
        """Say that this process serves no longer."""
        ...


@runtime_checkable
class SelfServed(Protocol):
    """Endpoints that this platform's own gateway serves (others, such as SageMaker's, serve themselves)."""

    def desk(self) -> ServingDesk:
        """The desk of this process."""
        ...


@dataclass(frozen=True)
class Invoked:
    """What an endpoint that serves itself answered to one call, in JSON."""

    body: bytes


@runtime_checkable
class SelfServing(Endpoints, Protocol):
    """Endpoints that another service serves (SageMaker's): this platform's gateway passes calls on to them."""

    @property
    def live_s(self) -> float:
        """How long a deployment may take until it is live."""
        ...

    @property
    def captures(self) -> bool:
        """Whether the service is to capture calls; else the gateway."""
        ...

    def is_captured(self, endpoint: str) -> bool:
        """Whether the service captures an endpoint's calls, as this process saw it last; False where that is not known.

        What the service serves with may be another configuration than the one of now, until it is deployed again.
        """
        ...

    def captured_prefix(self, endpoint: str) -> str:
        """Where in the object store it lays what it captured of an endpoint, as JSON lines in SageMaker's format."""
        ...

    def advance(self, endpoint: str) -> None:
        """Ask the service for what the newest deployment still waits for; to be called often, costs little when it is live.

        What failed is not asked for again. Raises as the service does (ThrottledError, PermissionDeniedError, …).
        """
        ...

    def follower(self) -> ServingDesk:
        """A desk that shows what is live, and listens to nothing that is said to it."""
        ...

    def package(self, digest: str, folder: Path) -> Path:
        """The package that it was given to serve, in `folder`, which is made; for who has no registry beside it.

        Raises:
            NotFoundError: it was given none of that digest.
        """
        ...

    def invoke(self, endpoint: str, body: bytes, *, request_id: str) -> Invoked:
        """The answer to one call in JSON; the same request may be sent more than once.

        Raises:
            DataError: the model's container says that the request does not fit.
            ThrottledError, UnavailableError, TimedOutError: nobody answers now.
            JobError: the container failed.
        """
        ...
