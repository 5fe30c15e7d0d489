"""What every adapter of endpoints says of names and generations."""

from __future__ import annotations

import re

from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.ports.endpoints import Deployment

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}/[a-z][a-z0-9_]{0,62}")


def checked(endpoint: str) -> str:
    """`endpoint`, if it is a name. Raises NotFoundError."""
    if not _NAME.fullmatch(endpoint):
        raise NotFoundError(f"'{endpoint}' is no endpoint; expected <system>/<endpoint>.")
    return endpoint


def follows(deployment: Deployment, current: int) -> bool:
    """Whether the deployment may come after generation `current` (0 = none: an endpoint may begin at any)."""
    return deployment.generation >= 1 and current in (0, deployment.generation - 1)


def conflict(deployment: Deployment, current: int) -> ConflictError:
    """What is raised where it may not."""
    return ConflictError(
        f"Endpoint '{deployment.endpoint}' is at generation {current}; generation {deployment.generation} cannot "
        f"follow it, expected {current + 1}.",
        next_step="Another deploy came first: look at the endpoint's history and decide anew.",
    )


def nothing_deployed(endpoint: str) -> str:
    """What is said of an endpoint without a record."""
    return f"Endpoint '{endpoint}' has no deployment record; deploy a version."
