"""The champion of an endpoint: the deployment that serves, and what monitors need of its model's package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlplatform.core.drift.profile import Profile
from mlplatform.core.packages.manifest import Manifest, read_package
from mlplatform.errors import StateError
from mlplatform.ports.endpoints import Deployment, Endpoints
from mlplatform.ports.runtimes import LoadedModel, Runtimes
from mlplatform.ports.tracking import Tracking
from mlplatform.stations.live import live_deployment

BASELINE = "baseline.json"


class Champion:
    """Reads the package of the deployment that serves; the last one read is remembered."""

    def __init__(self, endpoints: Endpoints, tracking: Tracking, runtimes: Runtimes, *, endpoint: str) -> None:
        self._endpoints = endpoints
        self._tracking = tracking
        self._runtimes = runtimes
        self._endpoint = endpoint
        self._read: tuple[str, Path, Manifest] | None = None

    def deployment(self) -> Deployment | None:
        """The deployment that serves; see `live_deployment`."""
        return live_deployment(self._endpoints, self._endpoint)

    def trained_to(self, deployment: Deployment) -> str:
        """The greatest value of the window's column that the model was trained on. Raises StateError where it is not said."""
        trained_to = self._package(deployment)[1].trained_to
        if trained_to is None:
            raise StateError(
                f"The package of {deployment.model} version {deployment.version} does not say where its training rows end."
            )
        return trained_to

    def snapshot(self, deployment: Deployment) -> Mapping[str, Any]:
        """The SnapshotRef, as JSON, of the rows that it was trained on."""
        return self._package(deployment)[1].snapshot

    def baseline(self, deployment: Deployment) -> Profile:
        """The profile of the training rows. Raises StateError where the package holds none."""
        package, manifest = self._package(deployment)
        if BASELINE not in manifest.files:
            raise StateError(
                f"The package of {deployment.model} version {deployment.version} has no '{BASELINE}' to judge drift against.",
                next_step="Train and deploy a new version.",
            )
        return Profile.from_json(json.loads((package / BASELINE).read_bytes()))

    def model(self, deployment: Deployment) -> LoadedModel:
        """The model, loaded by its digest."""
        return self._runtimes.load(self._package(deployment)[0], digest=deployment.digest)

    def _package(self, deployment: Deployment) -> tuple[Path, Manifest]:
        if self._read is None or self._read[0] != deployment.digest:
            package = self._tracking.package(deployment.model, deployment.digest)
            self._read = (deployment.digest, package, read_package(package, digest=deployment.digest))
        return self._read[1:]
