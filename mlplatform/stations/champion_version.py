"""The champion's registered version: what the newest deployment record names, or the alias where nothing was deployed."""

from __future__ import annotations

from mlplatform.errors import StateError
from mlplatform.ports.endpoints import Endpoints
from mlplatform.ports.tracking import ModelVersion, Tracking

ALIAS = "champion"


def champion_of(endpoints: Endpoints, tracking: Tracking, *, model: str, endpoint: str | None) -> ModelVersion | None:
    """The champion's version; None before the first.

    Args:
        model: ``<system>.<model>``. endpoint: ``<system>/<endpoint>`` that serves it, or None where none does.

    Raises:
        StateError: what is deployed is no registered version.
    """
    versions = tracking.versions(model)
    deployment = endpoints.desired(endpoint) if endpoint else None
    if deployment is not None and deployment.model == model:
        for version in versions:
            if version.digest == deployment.digest:
                return version
        raise StateError(
            f"Endpoint '{endpoint}' serves {deployment.digest[:12]}…, which is no registered version of '{model}'.",
            next_step="Restore the registry from a backup, or roll back.",
        )
    return next((v for v in versions if ALIAS in v.aliases), None)
