"""The models of one worker: follows the deployment records and swaps generations under the requests.

A generation is loaded beside the one that serves (in a thread), checked against its digest, asked once with a row of
its own signature, then the reference is switched. A request holds the reference it began with; the old generation goes
when the last of these ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.core.features.fitted import read_transforms
from mlplatform.core.packages.manifest import read_package
from mlplatform.core.rollout import slot as slots
from mlplatform.errors import ConflictError, NotFoundError, PlatformError, UnavailableError
from mlplatform.ports.endpoints import Served
from mlplatform.serving.forwarded_model import ForwardedModel
from mlplatform.serving.served_model import ServedModel, endpoint_spec, example_row

if TYPE_CHECKING:
    from mlplatform.ports.endpoints import Deployment, SelfServing, ServingDesk
    from mlplatform.ports.runtimes import LoadedModel, Runtimes

POLL_S = 0.1
RETRY_S = 1.0
log = logging.getLogger(__name__)

Packages = Callable[[str, str], Path]
"""(model, digest) → directory of the package."""


class ModelServer:
    """Loads, serves and drops generations; `prepare` is called with each before it serves (capture refuses here).

    With `forward` models are not loaded: that service holds them, and calls go there.
    """

    def __init__(
        self,
        desk: ServingDesk,
        runtimes: Runtimes,
        packages: Packages,
        *,
        prepare: Callable[[ServedModel], None] | None = None,
        forward: SelfServing | None = None,
    ) -> None:
        self._desk = desk
        self._runtimes = runtimes
        self._packages = packages
        self._prepare = prepare
        self._forward = forward
        self._slots: dict[str, slots.Slot] = {}
        self._deployments: dict[str, Deployment] = {}
        self._models: dict[str, ServedModel] = {}
        self._routes: dict[str, ServedModel] = {}
        self._said: tuple[dict[str, Served], bool] | None = None
        self._retry: set[str] = set()

    def get(self, route: str) -> ServedModel:
        """The model behind ``<endpoint>`` or ``<system>/<endpoint>``.

        Raises:
            NotFoundError: none, with those that are served.
            ConflictError: several systems have an endpoint of that name.
            UnavailableError: it is deployed, and its model is not loaded, or cannot be.
        """
        found = self._routes.get(route)
        if found is not None:
            return found
        same = sorted(name for name in self._models if name.endswith(f"/{route}"))
        if same:
            raise ConflictError(
                f"Several systems serve an endpoint '{route}': {', '.join(same)}.",
                next_step=f"Call /predict/{same[0]}, with its system's name.",
            )
        deployed = [slot for name, slot in self._slots.items() if route in (name, name.partition("/")[2])]
        if deployed:
            # Why, is for who runs this platform, in the status and the log; it may name files of this machine.
            broken = all(slot.failed for slot in deployed)
            raise UnavailableError(
                f"Endpoint '{route}' is deployed, and its model {'cannot be' if broken else 'is not yet'} loaded.",
                next_step="Tell who runs this platform." if broken else "Try again in a moment.",
            )
        there = ", ".join(sorted(m.spec.name for m in self._models.values())) or "none"
        raise NotFoundError(
            f"No endpoint '{route[:120]}' is served; there are: {there}.",
            next_step="Correct the route; the routes are at /schema.",
        )

    def models(self) -> list[ServedModel]:
        """What is served, by name."""
        return [self._models[name] for name in sorted(self._models)]

    def only(self) -> ServedModel:
        """The one endpoint there is. Raises as `get` does; ConflictError also where there are several."""
        models = self.models()
        if len(models) == 1:
            return models[0]
        if not models:
            if len(self._slots) == 1:
                return self.get(*self._slots)
            raise NotFoundError("No endpoint is served.", next_step="Deploy a model version.")
        raise ConflictError(
            f"Several endpoints are served: {', '.join(m.name for m in models)}.",
            next_step="Name one in the header X-Amzn-SageMaker-Target-Model, or call /predict/<endpoint>.",
        )

    async def start(self) -> None:
        """Load all that is desired, then say that this worker is ready."""
        self._acknowledge(ready=False)
        await self.reconcile()
        self._acknowledge(ready=True)

    async def run(self) -> None:
        """Follow the records until cancelled."""
        pause = 0.0
        while True:
            await asyncio.sleep(POLL_S)
            pause += POLL_S
            if await self.follow(retry=pause >= RETRY_S):
                pause = 0.0

    async def follow(self, *, retry: bool) -> bool:
        """Make served what is desired, where something new is, or (`retry`) what was did not work; whether it was so."""
        # In threads: where the records, or who serves, are another machine's, a hang there is to hold up no call here.
        if not (await asyncio.to_thread(self._desk.changed) or (retry and self._retry)):
            return False
        try:
            await self.reconcile()
        except PlatformError as error:
            log.error("deployment records: %s", error)
            self._retry.add("")
        self._acknowledge(ready=True)
        return True

    def stop(self) -> None:
        """Say that this worker serves no longer."""
        self._desk.leave()

    async def reconcile(self) -> None:
        """Make what is served what is desired, as far as it can be."""
        self._retry.clear()
        desired = await asyncio.to_thread(self._desk.desired)
        for name in self._models.keys() | self._slots.keys():
            if name not in desired or self._made_anew(desired[name]):
                self._forget(name)
        for name, deployment in sorted(desired.items()):
            self._deployments[name] = deployment
            current = self._slots.get(name, slots.Slot())
            generation = slots.wanted(current, deployment.generation)
            if generation is not None:
                self._slots[name] = slots.started(current, generation)
                await self._load(name, deployment)

    async def _load(self, name: str, deployment: Deployment) -> None:
        generation = deployment.generation
        try:
            model = await asyncio.to_thread(self._loaded, deployment)
        except PlatformError as error:
            log.error("endpoint %s generation %d: %s", name, generation, error)
            self._slots[name] = slots.failed(self._slots[name], str(error), retry=error.retryable)
            if error.retryable:
                self._retry.add(name)
            return
        except Exception as error:
            log.exception("endpoint %s generation %d", name, generation)
            self._slots[name] = slots.failed(self._slots[name], f"{type(error).__name__}: {error}")
            return
        self._slots[name] = slots.loaded(self._slots[name])
        self._models[name] = model
        self._route()
        log.info("endpoint %s answers with generation %d, version %d", name, generation, deployment.version)

    def _loaded(self, deployment: Deployment) -> ServedModel:
        package = self._packages(deployment.model, deployment.digest)
        spec = endpoint_spec(deployment)
        model: LoadedModel
        if self._forward is not None:
            model = ForwardedModel(deployment, read_package(package, digest=deployment.digest), self._forward)
        else:
            untold = bool(spec.capture.mask or spec.capture.drop)
            model = self._runtimes.load(package, digest=deployment.digest, masked=untold)
        example = example_row(model.manifest.signature.inputs, read_transforms(package))
        if self._forward is None:
            model.predict_rows([example])
        served = ServedModel(deployment, model, spec, example)
        if self._prepare is not None:
            self._prepare(served)
        return served

    def _made_anew(self, deployment: Deployment) -> bool:
        """Whether the endpoint was removed and deployed again since this worker looked: its generations began anew."""
        known = self._deployments.get(deployment.endpoint)
        return known is not None and known.generation >= deployment.generation and known != deployment

    def _forget(self, name: str) -> None:
        for known in (self._slots, self._deployments, self._models):
            known.pop(name, None)
        self._route()

    def _route(self) -> None:
        routes: dict[str, ServedModel] = dict(self._models)
        short = [m.spec.name for m in self._models.values()]
        routes |= {m.spec.name: m for m in self._models.values() if short.count(m.spec.name) == 1}
        self._routes = routes

    def _acknowledge(self, *, ready: bool) -> None:
        served: dict[str, Served] = {
            name: Served(slot.serving, slot.failed, slot.message) for name, slot in self._slots.items()
        }
        if (served, ready) != self._said:
            self._desk.acknowledge(served, ready=ready)
            self._said = (served, ready)
