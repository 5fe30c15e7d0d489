"""A gateway worker's view of endpoints that SageMaker serves: the generation that is live, looked for now and then.

Looked for until what was asked of SageMaker last is what serves, and again once more is asked: with a configuration, who captures changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mlplatform.adapters.endpoints.sagemaker_records import Progress
from mlplatform.errors import PlatformError
from mlplatform.ports.endpoints import Deployment, Served

if TYPE_CHECKING:
    from mlplatform.adapters.endpoints.sagemaker import SageMakerEndpoints

log = logging.getLogger(__name__)


class SageMakerFollower:
    """One a process. SageMaker is asked about an endpoint only while its newest generation, or configuration, is not live."""

    def __init__(self, endpoints: SageMakerEndpoints, *, clock: Callable[[], float]) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._shown: dict[str, Deployment] = {}
        self._newest: dict[str, Deployment] = {}
        self._settled: dict[str, Progress | None] = {}
        self._due_at = 0.0

    def changed(self) -> bool:
        if self._clock() < self._due_at:
            return False
        before = dict(self._shown)
        try:
            return self._look() != before
        except PlatformError as error:
            # What is shown stays; the service that keeps the records is away for now.
            log.warning("deployment records: %s", error)
            return False

    def desired(self) -> dict[str, Deployment]:
        return dict(self._look())

    def acknowledge(self, served: Mapping[str, Served], *, ready: bool) -> None:
        """Nothing: SageMaker says itself what it serves."""

    def leave(self) -> None:
        """Nothing."""

    def _look(self) -> dict[str, Deployment]:
        self._due_at = self._clock() + self._endpoints.settings.follow_s
        shown = {}
        for name in self._endpoints.list():
            newest = self._endpoints.desired(name)
            if newest is None:
                continue
            if newest != self._newest.get(name):
                self._newest[name] = newest
                self._settled.pop(name, None)
            asked = self._endpoints.records.progress(name)
            is_settled = name in self._settled and self._settled[name] == asked
            shown[name] = self._shown[name] if is_settled else self._live(name, newest, asked)
        self._shown = shown
        self._settled = {name: asked for name, asked in self._settled.items() if name in shown}
        return shown

    def _live(self, name: str, newest: Deployment, asked: Progress | None) -> Deployment:
        """The record of what is live; the newest while nothing is. `asked`: what was last asked for, before this look."""
        self._settled.pop(name, None)
        state, found = self._endpoints.state(name), self._endpoints.found(name)
        if state.status == "InService" and state.live_generation == newest.generation:
            if found is not None and (asked is None or asked.config == found.config):
                self._settled[name] = asked
            return newest
        if state.live_generation in (0, newest.generation):
            return newest
        return self._endpoints.records.get(name, state.live_generation) or newest
