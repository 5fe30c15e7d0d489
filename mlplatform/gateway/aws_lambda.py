"""The gateway as a function of AWS Lambda behind API Gateway (an HTTP API or a REST API) or a function's own URL.

(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html)

Endpoints are SageMaker's: the gateway checks keys and rows, and passes calls on. Between two calls a function's process is frozen, so
that nothing here runs beside them: before a call is answered, keys and deployment records are looked at where that is due; and what
is captured lies in the object store before the answer goes out.

Environment: ``MLPLATFORM_PROFILE`` and the profile's variables; ``MLPLATFORM_HOME``, a folder below ``/tmp``.
Handler: ``mlplatform.gateway.aws_lambda.handler``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.errors import PlatformError, ProfileError, UnavailableError
from mlplatform.gateway.app import Engine, GatewayPorts, gateway_of
from mlplatform.gateway.predict import Receive, Scope, Send
from mlplatform.gateway.refusal import refusal
from mlplatform.serving.inference_id import uuid7
from mlplatform.serving.model_server import RETRY_S
from mlplatform.stations.capture import Capture

if TYPE_CHECKING:
    from mangum import Mangum

    from mlplatform.ports.object_store import ObjectStore

HOME = "/tmp/mlplatform"  # noqa: S108 - all that a function may write to, and its own
log = logging.getLogger(__name__)
_MADE: list[Mangum] = []


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry; what answers is made by a process's first call, and kept."""
    if not _MADE:
        # Lambda's own handler writes what is logged; it lets warnings through.
        logging.getLogger().setLevel(logging.INFO)
        _MADE.append(make_handler(os.environ))
    return _MADE[0](event, context)


def make_handler(env: Mapping[str, str]) -> Mangum:
    """What answers an event. Raises ProfileError where the profile cannot be that of a function."""
    try:
        from mangum import Mangum
    except ImportError as error:
        raise ImportError("The gateway as a Lambda needs Mangum: pip install 'mlplatform[lambda]'") from error
    ports, store = _ports({"MLPLATFORM_HOME": HOME, **env})
    asyncio.set_event_loop(asyncio.new_event_loop())
    return Mangum(FrozenGateway(ports, store), lifespan="off")


class FrozenGateway:
    """ASGI: the gateway in a process that stands still between calls."""

    def __init__(self, ports: GatewayPorts, store: ObjectStore) -> None:
        self._engine = Engine(ports)
        self._gateway = gateway_of(self._engine, ports.endpoints)
        self._spool = ports.capture
        self._store = store
        self._drains: dict[str, Capture] = {}
        self._retry_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._follow()
        except PlatformError as error:
            log.error("the deployment records cannot be read: %s", error)
            status, headers, body = refusal(_not_yet(error), uuid7())
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        await self._gateway({**scope, "path": _path(scope)}, receive, send)
        await asyncio.to_thread(self._keep)

    async def _follow(self) -> None:
        if not self._engine.ready.is_set():
            await self._engine.start()
            return
        await self._engine.keys.freshen()
        now = time.monotonic()
        if await self._engine.models.follow(retry=now >= self._retry_at):
            self._retry_at = now + RETRY_S

    def _keep(self) -> None:
        """Lay what was captured into the object store; what cannot be laid there now, the next call tries again."""
        for served in self._engine.models.models():
            if served.name not in self._drains:
                system = served.name.partition("/")[0]
                capture = Capture(self._store, self._spool, served.spec, system=system, mark=_mark(self._spool))
                self._drains[served.name] = capture
        try:
            self._engine.capture.settle()
        except OSError:
            log.exception("captured calls could not be written; they are counted as a gap")
        for name, capture in self._drains.items():
            try:
                capture.drain()
            except PlatformError as error:
                log.error("captured calls of %s wait for the next call: %s", name, error)


def _mark(folder: Path) -> str:
    """What tells this machine's segments from those of others, whose processes may have the same names."""
    path = folder / "mark"
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{uuid.uuid4().hex}-", "utf-8")
    return path.read_text("utf-8")


def _path(scope: Scope) -> str:
    """The path without the stage, which an HTTP API puts in front of it where it is not the default one."""
    path, stage = str(scope["path"]), scope["aws.event"].get("requestContext", {}).get("stage")
    return path.removeprefix(f"/{stage}") if path.startswith(f"/{stage}/") else path


def _not_yet(error: PlatformError) -> PlatformError:
    """The error as a caller may read it; the log has its own words."""
    return UnavailableError(
        "The gateway cannot answer now.",
        next_step="Try again in a moment." if error.retryable else "Tell who runs this platform.",
    )


def _ports(env: Mapping[str, str]) -> tuple[GatewayPorts, ObjectStore]:
    from mlplatform.platform import open_platform
    from mlplatform.ports.endpoints import SelfServing

    platform = open_platform(env)
    endpoints = platform.endpoints
    if not isinstance(endpoints, SelfServing):
        raise ProfileError(
            f"Profile '{platform.profile.name}' has endpoints that a gateway serves itself, and a function is no place for models.",
            next_step="Let the connection 'endpoints' be one of adapter sagemaker, or run the gateway as a service.",
        )
    packages = platform.home.packages
    ports = GatewayPorts(
        endpoints=endpoints,
        desk=endpoints.follower(),
        forward=endpoints,
        runtimes=platform.runtimes,
        packages=lambda _, digest: endpoints.package(digest, packages / digest),
        items=platform.items,
        capture=platform.home.capture,
        secret=platform.secrets.get,
    )
    return ports, platform.store
