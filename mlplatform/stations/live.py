"""Which deployment an endpoint's callers get answers from."""

from __future__ import annotations

from mlplatform.ports.endpoints import Deployment, Endpoints


def live_deployment(endpoints: Endpoints, endpoint: str) -> Deployment | None:
    """The deployment of the generation that serves; while nobody serves, the newest desired one; None before the first.

    Args:
        endpoint: ``<system>/<endpoint>``.
    """
    desired = endpoints.desired(endpoint)
    if desired is None:
        return None
    live = endpoints.state(endpoint).live_generation
    if live in (0, desired.generation):
        return desired
    return next((d for d in endpoints.history(endpoint) if d.generation == live), desired)


def live_digest(endpoints: Endpoints, endpoint: str) -> str | None:
    """The digest of the model that answers callers, as `live_deployment` finds it; None before the first."""
    live = live_deployment(endpoints, endpoint)
    return None if live is None else live.digest
