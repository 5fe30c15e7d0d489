"""The gateway's app: the predict routes in front, everything else a small Litestar app."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litestar import Litestar, MediaType, Request, Response, get
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

from mlplatform.errors import BugError, NotFoundError, PlatformError
from mlplatform.gateway.docs import DocsPage, Schema
from mlplatform.gateway.predict import INVOCATIONS, PREDICT, Predict, Receive, Scope, Send
from mlplatform.gateway.refusal import refusal
from mlplatform.gateway.state import EndpointView, Health, endpoint_views
from mlplatform.serving.api_keys import ApiKeys
from mlplatform.serving.capture import Capture
from mlplatform.serving.inference_id import uuid7
from mlplatform.serving.key_ring import KeyRing
from mlplatform.serving.model_server import ModelServer

if TYPE_CHECKING:
    from pydantic import SecretStr

    from mlplatform.ports.endpoints import Endpoints, SelfServing, ServingDesk
    from mlplatform.ports.item_store import ItemStore
    from mlplatform.ports.runtimes import Runtimes

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GatewayPorts:
    """What a gateway needs of the platform.

    Attributes:
        packages: (model, digest) → directory of the model package.
        capture: folder of the capture spools.
        secret: name → secret; asked for `capture_mask_key` where an endpoint masks fields.
        forward: who serves, where this gateway only passes calls on.
    """

    endpoints: Endpoints
    desk: ServingDesk
    runtimes: Runtimes
    packages: Callable[[str, str], Path]
    items: ItemStore
    capture: Path
    secret: Callable[[str], SecretStr]
    forward: SelfServing | None = None


class Gateway:
    """ASGI: predict routes go straight to `Predict`, the rest to Litestar."""

    def __init__(self, predict: Predict, rest: Litestar) -> None:
        self._predict = predict
        self._rest: Callable[[Any, Any, Any], Awaitable[None]] = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and (path.startswith(PREDICT) or path == INVOCATIONS):
            await self._predict(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def no_route(request: Request[Any, Any, Any], _: Exception) -> Response[bytes]:
    """404 for a route or method that is not there."""
    error = NotFoundError(
        f"There is no {request.method} {request.url.path} here.", next_step="The routes are at /schema."
    )
    return refused(request, error)


def refused(_: Request[Any, Any, Any], error: PlatformError) -> Response[bytes]:
    """An error in the same form as the predict routes have."""
    status, headers, body = refusal(error, uuid7())
    kept = {name.decode(): value.decode() for name, value in headers if name not in (b"content-length", b"allow")}
    return Response(body, status_code=status, headers=kept, media_type="application/json")


def failed(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """500 without the error's own words, which go to the log."""
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    bug = BugError("The gateway failed on this request.", next_step="Look at the gateway's log.")
    return refused(request, bug)


class Engine:
    """What a gateway answers with: models, keys, and capture of what nobody else captures."""

    def __init__(self, ports: GatewayPorts) -> None:
        self.capture = Capture(ports.capture, secret=ports.secret)
        self.models = ModelServer(
            ports.desk,
            ports.runtimes,
            ports.packages,
            prepare=self.capture.prepare,
            forward=ports.forward,
        )
        self.keys = KeyRing(ApiKeys(ports.items))
        self.ready = asyncio.Event()

    async def start(self) -> None:
        """Read the keys and load all that is desired. Raises PlatformError where the records cannot be read."""
        await self.keys.refresh()
        await self.models.start()
        gc.collect()
        gc.freeze()  # What is loaded by now stays; a full collection over it would hold up requests for milliseconds.
        self.ready.set()


def make_gateway(ports: GatewayPorts) -> Gateway:
    """The app of one worker; its lifespan loads the models, follows the records, and drains capture at the end."""
    engine = Engine(ports)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        models, keys, capture = engine.models, engine.keys, engine.capture
        await engine.start()
        capture.start()
        tasks = [asyncio.create_task(models.run()), asyncio.create_task(keys.run())]
        try:
            yield
        finally:
            models.stop()
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            await asyncio.to_thread(capture.close)

    return gateway_of(engine, ports.endpoints, lifespan=lifespan)


def gateway_of(engine: Engine, all_endpoints: Endpoints, *, lifespan: Lifespan | None = None) -> Gateway:
    """The app that answers by `engine`."""
    models, ready = engine.models, engine.ready
    not_yet = ResponseSpec(data_container=None, description="It does not take calls yet.", media_type=MediaType.TEXT)

    @get(
        "/ping",
        summary="Whether this worker takes calls",
        tags=["State"],
        media_type=MediaType.TEXT,
        responses={HTTP_503_SERVICE_UNAVAILABLE: not_yet},
    )
    async def ping() -> Response[bytes]:
        """200 once every desired model was loaded or found to be broken (SageMaker's health check)."""
        return Response(b"", status_code=HTTP_200_OK if ready.is_set() else HTTP_503_SERVICE_UNAVAILABLE)

    @get("/health", summary="What this worker serves", tags=["State"])
    async def health() -> Health:
        """The worker that happens to answer, and the generations it answers with."""
        return Health.of(models.models())

    @get("/endpoints", summary="All endpoints, desired and live", tags=["State"], sync_to_thread=True)
    def endpoints() -> list[EndpointView]:
        """What should be served, and what every live worker answers with."""
        return endpoint_views(all_endpoints)

    rest = Litestar(
        [ping, health, endpoints],
        lifespan=[lifespan] if lifespan else [],
        exception_handlers={404: no_route, 405: no_route, PlatformError: refused, 500: failed},
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="mlplatform gateway",
            version="1",
            path="/schema",
            render_plugins=[DocsPage(), Schema(models)],
        ),
    )
    return Gateway(Predict(models, engine.keys, engine.capture), rest)
