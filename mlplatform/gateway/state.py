"""What the gateway says of itself and of the endpoints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from mlplatform.errors import PlatformError, StateError

if TYPE_CHECKING:
    from mlplatform.ports.endpoints import Endpoints
    from mlplatform.serving.served_model import ServedModel


class EndpointView(msgspec.Struct):
    """One endpoint: the newest deployment record, and what live workers answer with (the slowest of them)."""

    endpoint: str
    route: str
    status: str
    generation: int
    live_generation: int
    model: str
    version: int
    digest: str
    reason: str
    workers: int
    message: str


class ServedView(msgspec.Struct):
    """One model in this worker."""

    endpoint: str
    generation: int
    version: int


class Health(msgspec.Struct):
    """One worker."""

    status: str
    pid: int
    serving: list[ServedView]

    @classmethod
    def of(cls, models: Sequence[ServedModel]) -> Health:
        """This worker, serving `models`."""
        views = [ServedView(m.name, m.deployment.generation, m.deployment.version) for m in models]
        return cls("ok", os.getpid(), views)


def endpoint_views(endpoints: Endpoints) -> list[EndpointView]:
    """All endpoints, by name."""
    views = []
    for name in endpoints.list():
        route = f"/predict/{name.partition('/')[2]}"
        try:
            state = endpoints.state(name)
        except PlatformError as error:
            # A damaged record is an operator's; a service that is away says nothing of the endpoint.
            status = "Failed" if isinstance(error, StateError) else "Unknown"
            views.append(EndpointView(name, route, status, 0, 0, "", 0, "", "", 0, str(error)))
            continue
        d = state.desired
        if d is None:  # removed since it was listed
            continue
        views.append(
            EndpointView(
                name,
                route,
                state.status,
                d.generation,
                state.live_generation,
                d.model,
                d.version,
                d.digest,
                d.reason,
                state.workers,
                state.message,
            )
        )
    return views
