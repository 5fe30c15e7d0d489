"""One installation opened: its home, profile, systems, and the adapters its profile names."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.errors import NotFoundError
from mlplatform.platform.data import Closing
from mlplatform.platform.locate import defs_folder, profile_folders
from mlplatform.platform.system import SystemStations
from mlplatform.spec.home import Home, cache_path, home_path, open_home
from mlplatform.spec.loader import load_systems
from mlplatform.spec.profile import Profile, load_profile
from mlplatform.stations.steady_clock import SteadyClock

if TYPE_CHECKING:
    from mlplatform.ports.asset_events import AssetEvents
    from mlplatform.ports.compute import Compute
    from mlplatform.ports.endpoints import Endpoints
    from mlplatform.ports.expectations import Expectations
    from mlplatform.ports.item_store import ItemStore
    from mlplatform.ports.metrics import Metrics
    from mlplatform.ports.object_store import ObjectStore
    from mlplatform.ports.runtimes import Runtimes
    from mlplatform.ports.secrets import Secrets
    from mlplatform.ports.tracking import Tracking
    from mlplatform.spec.system import SystemSpec
    from mlplatform.stations.inbox import Inbox
    from mlplatform.stations.lineage import LineageRecord

WORKER_BEAT_S = 30.0
"""A worker that has not written its beat for so long is taken for dead."""


@dataclass
class Platform:
    """Opened once a process. Adapters are bound, and their drivers imported, when first asked for."""

    env: Mapping[str, str]
    home: Home
    profile: Profile
    defs: Path
    resources: Mapping[str, Any] = field(default_factory=dict)
    """Of Dagster's integrations, by the connection's name in the profile: what opens it in this process instead."""
    _systems: dict[str, SystemStations] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @cached_property
    def specs(self) -> dict[str, SystemSpec]:
        """Every system's spec, by name."""
        return load_systems(self.defs)

    def system(self, name: str) -> SystemStations:
        """The stations of a system. Raises NotFoundError with those that are there."""
        with self._lock:
            if name not in self._systems:
                if name not in self.specs:
                    there = ", ".join(self.specs) or "none"
                    raise NotFoundError(
                        f"There is no system '{name}' under '{self.defs}'; there are: {there}.",
                        next_step="Name one of these, or make it: mlplatform init NAME makes a project to begin with.",
                    )
                self._systems[name] = SystemStations(self, self.specs[name])
            return self._systems[name]

    def close(self) -> None:
        """Give back what stations and adapters hold open; what is asked for afterwards is opened anew."""
        for stations in self._systems.values():
            stations.close()
        self._systems.clear()
        for name in ("inbox", "metrics", "items"):
            opened = self.__dict__.pop(name, None)
            if isinstance(opened, Closing):
                opened.close()

    def trace(self, inference_id: str) -> LineageRecord:
        """Where a prediction came from. See `stations.lineage.Lineage.trace`."""
        from mlplatform.core.rollout.inference_id import parse_inference_id
        from mlplatform.spec.endpoint import EndpointSpec

        endpoint = parse_inference_id(inference_id).endpoint
        for name, spec in self.specs.items():
            if any(e.name == endpoint for e in spec.all(EndpointSpec)):
                return self.system(name).lineage().trace(inference_id)
        raise NotFoundError(
            f"No system has an endpoint '{endpoint}', which '{inference_id}' names.",
            next_step="Give an inference id as a prediction's answer has it; mlplatform status lists the endpoints.",
        )

    def worker_alive(self) -> bool:
        """Whether a worker wrote its beat in the last `WORKER_BEAT_S` seconds; one of the future is from before the clock
        was set back, and says nothing."""
        item = self.items.get("workers", "worker")
        return item is not None and abs(time.time() - float(item.value["beat_at"])) < WORKER_BEAT_S

    def clock_doubt(self) -> str:
        """Why the machine's clock is not to be believed now, or "" where it is; what is deleted by a wrong one is gone."""
        return SteadyClock(self.home.clock).doubt()

    @cached_property
    def store(self) -> ObjectStore:
        from mlplatform.platform.connections import object_store

        found = self.profile.connection("objects", port="object_store")
        if "objects" in self.resources:
            from mlplatform.platform.dagster_resources import store_by

            return store_by(found, self.resources["objects"])
        return object_store(found, self.home)

    @cached_property
    def items(self) -> ItemStore:
        from mlplatform.platform.connections import item_store

        return item_store(self.profile.connection("items", port="item_store"), self.home)

    @cached_property
    def inbox(self) -> Inbox | None:
        """Notices of arrivals, where the profile has a connection `arrivals`."""
        if "arrivals" not in self.profile.connections:
            return None
        from mlplatform.platform.connections import arrivals
        from mlplatform.stations.inbox import Inbox

        objects = self.profile.connection("objects", port="object_store")
        return Inbox(arrivals(self.profile.connection("arrivals", port="arrivals"), objects), self.items)

    @cached_property
    def metrics(self) -> Metrics | None:
        """Where numbers about what runs are told, where the profile has a connection `metrics`."""
        if "metrics" not in self.profile.connections:
            return None
        from mlplatform.platform.connections import metrics

        return metrics(self.profile.connection("metrics", port="metrics"))

    @cached_property
    def secrets(self) -> Secrets:
        from mlplatform.platform.connections import secrets

        return secrets(self.profile.connection("secrets", port="secrets"), self.env)

    @cached_property
    def compute(self) -> Compute:
        from mlplatform.platform.connections import compute

        jobs = self.profile.connection("jobs", port="compute")
        return compute(jobs, self.home, self.store, self.defs, cache_path(self.env), lambda: self.secrets)

    @cached_property
    def tracking(self) -> Tracking:
        from mlplatform.platform.connections import tracking

        found = self.profile.connection("tracking", port="tracking")
        return tracking(found, self.home, self.profile.addresses, lambda: self.secrets, lambda: self.store)

    @cached_property
    def endpoints(self) -> Endpoints:
        from mlplatform.platform.connections import endpoints

        connection = self.profile.connection("endpoints", port="endpoints")
        return endpoints(
            connection,
            self.home,
            lambda: self.items,
            lambda: self.store,
            lambda model, digest: self.tracking.package(model, digest),
        )

    @cached_property
    def asset_events(self) -> AssetEvents:
        from mlplatform.platform.connections import asset_events

        return asset_events(self.profile.connection("asset_events", port="asset_events"), self.home, self.defs)

    @cached_property
    def runtimes(self) -> Runtimes:
        from mlplatform.adapters.runtimes import PackageRuntimes

        return PackageRuntimes(cache=cache_path(self.env))

    @cached_property
    def expectations(self) -> Expectations:
        from mlplatform.platform.connections import expectations

        return expectations(self.home)


def open_platform(env: Mapping[str, str] | None = None, *, resources: Mapping[str, Any] | None = None) -> Platform:
    """The installation that `env` (default: this process's environment) points at; `resources` as `Platform.resources`.

    ``MLPLATFORM_HOME``, ``MLPLATFORM_PROFILE`` and ``MLPLATFORM_DEFS`` say where; see `spec.home`, `spec.profile` and
    `platform.locate` for what holds without them.

    Raises:
        ProfileError, StateError, NotFoundError: one of them is wrong or does not fit the others.
    """
    env = dict(os.environ if env is None else env)
    defs = defs_folder(env)
    profile = load_profile(env, profile_folders(start=defs))
    made = not Home(home_path(env)).state_file.exists()
    home = open_home(home_path(env), profile=profile.name)
    if made:
        SteadyClock.begin(home.clock)
    return Platform(env, home, profile, defs, resources or {})
