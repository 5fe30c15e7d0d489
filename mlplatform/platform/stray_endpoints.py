"""Endpoints that are deployed though no YAML has them any more: they go on serving, and are paid for where a service serves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.platform.applied import COLLECTION as APPLIED
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.stations.removed_endpoint import remove_endpoint

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform


def stray_endpoints(platform: Platform) -> list[str]:
    """``<system>/<endpoint>`` of each."""
    wanted = {f"{name}/{spec.name}" for name, system in platform.specs.items() for spec in system.all(EndpointSpec)}
    return sorted(name for name in platform.endpoints.list() if name not in wanted)


def how_to_end(platform: Platform, endpoint: str) -> str:
    """The command that ends it: with its system, where that is gone too."""
    system = endpoint.partition("/")[0]
    whole = system not in platform.specs and platform.items.get(APPLIED, system) is not None
    return f"mlplatform destroy {system if whole else endpoint}"


def check_stray(platform: Platform, endpoint: str) -> None:
    """Raises NotFoundError where it is not deployed, and ConflictError where a YAML has it: it would be deployed again."""
    strays = stray_endpoints(platform)
    if endpoint in strays:
        return
    if endpoint in platform.endpoints.list():
        raise ConflictError(
            f"Endpoint '{endpoint}' is in the YAML of its system, and would be deployed again.",
            next_step="Take it out of the YAML first.",
        )
    raise NotFoundError(
        f"There is no endpoint '{endpoint}' that is deployed; without a YAML there are: {', '.join(strays) or 'none'}.",
        next_step="Name one of these, or a system.",
    )


def end_stray(platform: Platform, endpoint: str) -> None:
    """End such an endpoint, and nothing else of its system. Raises as `check_stray`."""
    check_stray(platform, endpoint)
    remove_endpoint(platform.endpoints, platform.items, endpoint, now=datetime.now(UTC))
