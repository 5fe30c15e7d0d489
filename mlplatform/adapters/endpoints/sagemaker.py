"""Endpoints on Amazon SageMaker (https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints.html).

The deployment record is written first, into the item store. What SageMaker is asked for follows from it: the package in S3, a
model, a configuration, then the endpoint that is made or brought to it. Each step is asked for as long as it is not done, by
whoever deploys or waits, and by the worker (`advance`); so a run that was killed anywhere is gone on with by the next, what a
person asked for while the endpoint changed is asked for afterwards, and nothing is made twice.

One SageMaker endpoint an endpoint; its configuration's name says the generation that serves. SageMaker brings a new one up
beside it (blue/green), and keeps the earlier where that fails.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.endpoints.generations import checked, nothing_deployed
from mlplatform.adapters.endpoints.sagemaker_api import SageMakerApi
from mlplatform.adapters.endpoints.sagemaker_artifact import artifact_url, delete_artifact, get_artifact, put_artifact
from mlplatform.adapters.endpoints.sagemaker_names import endpoint_name
from mlplatform.adapters.endpoints.sagemaker_owner import Ownership
from mlplatform.adapters.endpoints.sagemaker_records import DeploymentRecords, Progress
from mlplatform.adapters.endpoints.sagemaker_requests import Plan, plan
from mlplatform.adapters.endpoints.sagemaker_settings import SageMakerEndpointSettings
from mlplatform.adapters.endpoints.sagemaker_state import CHANGING, Found, found_of, has_failed, state_of
from mlplatform.errors import JobError, NotFoundError, ProfileError, TimedOutError, TransientError
from mlplatform.ports.endpoints import Deployment, EndpointState, Invoked
from mlplatform.ports.item_store import ItemStore
from mlplatform.ports.object_store import ObjectStore

if TYPE_CHECKING:
    from mlplatform.adapters.endpoints.sagemaker_follower import SageMakerFollower
    from mlplatform.adapters.endpoints.sagemaker_invoker import SageMakerInvoker

KEPT_GENERATIONS = 3
"""So many models and configurations stay when another generation is live; the records of all do."""

CAPTURED = "_captured"
"""Where in the object store SageMaker lays what it captures, until it is drained."""

log = logging.getLogger(__name__)


class SageMakerEndpoints:
    """Any number of processes may use it at once.

    `packages`: (model, digest) → directory of the package. `options`: further arguments of ``boto3.client``.
    """

    def __init__(
        self,
        settings: SageMakerEndpointSettings,
        items: ItemStore,
        store: ObjectStore,
        packages: Callable[[str, str], Path],
        *,
        options: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.records = DeploymentRecords(items)
        self._store = store
        self._packages = packages
        self._options = options
        self._api = SageMakerApi(settings, options)
        self._owners = Ownership(lambda: store.url(""), self._api.tags)
        self._clock = clock
        self._sleep = sleep
        self._invoker: SageMakerInvoker | None = None
        self._seen: dict[str, tuple[float, EndpointState]] = {}
        self._found: dict[str, Found | None] = {}
        self._settled: dict[str, Deployment] = {}

    @property
    def live_s(self) -> float:
        return self.settings.live_s

    @property
    def captures(self) -> bool:
        return self.settings.capture is not None

    def is_captured(self, endpoint: str) -> bool:
        found = self.found(endpoint)
        return found is not None and found.captures

    def found(self, endpoint: str) -> Found | None:
        """The endpoint as it was when it was looked at last."""
        return self._found.get(endpoint)

    def captured_prefix(self, endpoint: str) -> str:
        return f"{CAPTURED}/{endpoint_name(self.settings.name_prefix, checked(endpoint))}/"

    def deploy(self, deployment: Deployment) -> None:
        self._check_masks(deployment)
        try:
            # Before the record: what another installation serves is not to be told as this one's.
            self._owners.check(self._api.endpoint(endpoint_name(self.settings.name_prefix, deployment.endpoint)))
        except TransientError as error:
            log.warning("endpoint %s: whose it is on SageMaker is not known yet: %s", deployment.endpoint, error)
        self.records.add(deployment)
        try:
            self._advance(deployment, again=False)
        except TransientError as error:
            # Whoever waits asks again, and the worker.
            log.warning("endpoint %s generation %d: %s", deployment.endpoint, deployment.generation, error)

    def desired(self, endpoint: str) -> Deployment | None:
        return self.records.newest(endpoint)

    def history(self, endpoint: str) -> list[Deployment]:
        return self.records.history(endpoint)

    def state(self, endpoint: str) -> EndpointState:
        desired = self.desired(endpoint)
        if desired is None:
            return EndpointState(endpoint, None, 0, "Failed", 0, nothing_deployed(endpoint))
        # Monitors ask twice a second, and SageMaker would have them wait.
        seen_at, seen = self._seen.get(endpoint) or (0.0, None)
        if seen is not None and seen.desired == desired and self._clock() - seen_at < self.settings.follow_s:
            return seen
        return self._state(desired)

    def wait(self, endpoint: str, generation: int, *, timeout_s: float) -> EndpointState:
        deadline, again, state = self._clock() + timeout_s, True, None
        while True:
            try:
                # What had failed before is asked for again, and once.
                state, asked = self._looked(endpoint, again=again)
                again = False
                if state.status == "InService" and state.live_generation >= generation:
                    self._settle(state)
                    return state
                if state.status == "Failed" and not asked:
                    raise JobError(
                        state.message,
                        next_step="Deploy another version, roll back, or start this again, which asks SageMaker once more.",
                    )
            except TransientError as error:
                log.warning("endpoint %s: %s", endpoint, error)
                if self._clock() >= deadline:
                    raise
            if self._clock() >= deadline:
                raise TimedOutError(
                    f"Endpoint '{endpoint}' does not answer with generation {generation} after {timeout_s:g} s: "
                    f"{state.message if state else 'SageMaker did not say how it stands.'}",
                    next_step="SageMaker goes on by itself. Look at the endpoint there, and at its log group "
                    f"/aws/sagemaker/Endpoints/{endpoint_name(self.settings.name_prefix, endpoint)}; then wait again.",
                )
            self._sleep(self.settings.poll_s)

    def advance(self, endpoint: str) -> None:
        desired = self.desired(endpoint)
        if desired is None or self._settled.get(endpoint) == desired:
            return
        state = self._state(desired)
        if state.status == "InService":
            self._settle(state)
        else:
            self._advance(desired, again=False)

    def list(self) -> list[str]:
        return list(self.records.endpoints())

    def remove(self, endpoint: str) -> None:
        name = endpoint_name(self.settings.name_prefix, checked(endpoint))
        newest = self.desired(endpoint)
        if newest is None:
            return
        told = self._api.endpoint(name)
        if told is None or self._owners.is_ours(told):
            self._delete(endpoint, name)
            self._api.unscale(name, certain=self.settings.scaling is not None)
            self._api.delete_parts(name, before=newest.generation + 1)
        self._delete_objects(endpoint)
        self.records.remove(endpoint)
        for known in (self._seen, self._found, self._settled):
            known.pop(endpoint, None)

    def follower(self) -> SageMakerFollower:
        from mlplatform.adapters.endpoints.sagemaker_follower import SageMakerFollower

        return SageMakerFollower(self, clock=self._clock)

    def package(self, digest: str, folder: Path) -> Path:
        return get_artifact(self._store, digest, folder)

    def invoke(self, endpoint: str, body: bytes, *, request_id: str) -> Invoked:
        if self._invoker is None:
            from mlplatform.adapters.endpoints.sagemaker_invoker import SageMakerInvoker

            self._invoker = SageMakerInvoker(self.settings, self._options)
        return self._invoker.invoke(endpoint, body, request_id=request_id)

    def _check_masks(self, deployment: Deployment) -> None:
        capture = deployment.settings.get("capture", {})
        hidden = [*capture.get("mask", ()), *capture.get("drop", ())]
        if self.captures and hidden:
            raise ProfileError(
                f"SageMaker captures calls as they are, and endpoint '{deployment.endpoint}' masks or drops "
                f"{', '.join(hidden)} in what is captured.",
                next_step="Take 'capture' out of the connection's settings: then the gateway captures, and masks.",
            )

    def _plan(self, deployment: Deployment) -> Plan:
        artifact, captured = artifact_url(self._store, deployment.digest), self._store.url(CAPTURED)
        return plan(deployment, artifact, captured, self.settings, owner=self._store.url(""))

    def _state(self, desired: Deployment) -> EndpointState:
        planned = self._plan(desired)
        found = self._found[desired.endpoint] = found_of(planned.name, self._api.endpoint(planned.name))
        state = state_of(desired, planned, found, self.records.progress(desired.endpoint))
        if state.status == "InService":
            self._seen[desired.endpoint] = (self._clock(), state)
        else:
            self._seen.pop(desired.endpoint, None)
        return state

    def _looked(self, endpoint: str, *, again: bool) -> tuple[EndpointState, bool]:
        """The state after what is still to be asked for was; and whether something was. `again`: also what failed before."""
        desired = self.desired(endpoint)
        if desired is None:
            raise NotFoundError(nothing_deployed(endpoint))
        asked = self._advance(desired, again=again)
        return self._state(desired), asked

    def _advance(self, deployment: Deployment, *, again: bool) -> bool:
        """Ask for the next step to the deployment, if there is one and nothing is on its way; whether it was asked."""
        planned = self._plan(deployment)
        told = self._api.endpoint(planned.name)
        found = found_of(planned.name, told)
        if found is not None and found.status in CHANGING:
            return False
        self._owners.check(told)
        progress = self.records.progress(deployment.endpoint)
        if found is not None and has_failed(found, planned, progress) and not again:
            return False
        if found is None:
            self._make_parts(deployment, planned)
            self._api.create_endpoint(planned.create)
        elif found.status == "Failed":
            # All that SageMaker lets be done with it; it is made anew when it is gone.
            self._api.delete_endpoint(planned.name)
        elif found.config == planned.config["EndpointConfigName"] and found.status == "InService":
            return False
        else:
            self._make_parts(deployment, planned)
            config = planned.config["EndpointConfigName"]
            self.records.asks(deployment.endpoint, Progress(config, found.changed_at))
            self._api.update_endpoint(planned.update)
        return True

    def _make_parts(self, deployment: Deployment, planned: Plan) -> None:
        put_artifact(self._store, deployment.digest, self._packages(deployment.model, deployment.digest))
        self._api.create_model(planned.model)
        self._api.create_config(planned.config)

    def _settle(self, state: EndpointState) -> None:
        """What is due when a generation is live: scaling, and no more of old generations than are kept."""
        name = endpoint_name(self.settings.name_prefix, state.endpoint)
        if self.settings.scaling is not None:
            self._api.scale(name, self.settings.scaling)
        else:
            self._api.unscale(name, certain=False)
        self._api.delete_parts(name, before=state.live_generation - KEPT_GENERATIONS + 1)
        if state.desired is not None:
            self._settled[state.endpoint] = state.desired

    def _delete_objects(self, endpoint: str) -> None:
        """Delete its packages in S3, but for those that another endpoint served too, and captures that nobody drained."""
        ours = {d.digest for d in self.history(endpoint)}
        others = (d.digest for other in self.list() if other != endpoint for d in self.history(other))
        for digest in ours.difference(others):
            delete_artifact(self._store, digest)
        for info in list(self._store.list(self.captured_prefix(endpoint))):
            self._store.delete(info.key)

    def _delete(self, endpoint: str, name: str) -> None:
        """Delete the endpoint and wait until it is gone; one that changes is waited for."""
        deadline, asked = self._clock() + self.settings.live_s, False
        while self._api.endpoint(name) is not None:
            asked = asked or self._api.delete_endpoint(name)
            if self._clock() >= deadline:
                raise TimedOutError(
                    f"Endpoint '{endpoint}' is not gone after {self.settings.live_s:g} s: SageMaker still has '{name}'.",
                    next_step="Remove it again; what is gone already is not asked for twice.",
                )
            self._sleep(min(self.settings.poll_s, 1.0))
