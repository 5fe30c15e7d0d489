"""What a command says of the deployment it made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlplatform.errors import PlatformError

if TYPE_CHECKING:
    from mlplatform.ports.endpoints import Deployment, Endpoints


def deployed(endpoints: Endpoints, done: Deployment) -> str:
    """What to say of a deployment: another service may take minutes to come to it, or not have been asked yet."""
    from mlplatform.ports.endpoints import SelfServing

    what = f"Generation {done.generation} of {done.endpoint}"
    if isinstance(endpoints, SelfServing):
        try:
            state = endpoints.state(done.endpoint)
            live, message = state.live_generation == done.generation and state.status == "InService", state.message
        except PlatformError as error:
            live, message = False, str(error)
        if not live:
            return (
                f"{what} is to serve version {done.version}, and does not yet: {message}\n"
                "A running worker asks until it does; 'mlplatform status' shows how it stands."
            )
    return f"{what} serves version {done.version}."
