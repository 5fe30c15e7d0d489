"""Rollout: which version an endpoint serves, as deployment records; the ``champion`` alias follows them.

A deployment is desired state. It returns once the record is durable; the gateway's workers follow by themselves
(`Endpoints.wait` says when), and another service is asked until it does, by the worker (`advance`). The alias is written after the record, and `reconcile` repairs it after a crash between.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mlplatform.core.packages.manifest import MANIFEST, Manifest
from mlplatform.core.rollout.history import rollback_target
from mlplatform.core.rollout.signature_change import breaking_changes
from mlplatform.errors import ConflictError, GateError, NotFoundError, TransientError
from mlplatform.ports.endpoints import Deployment, Endpoints, SelfServing
from mlplatform.ports.item_store import ItemStore
from mlplatform.ports.tracking import ModelVersion, Tracking
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.stations.approvals import require_approval
from mlplatform.stations.removed_endpoint import removed_endpoint

CHAMPION, CHALLENGER = "champion", "challenger"
VERDICTS = "verdicts"

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


class Rollout:
    """Deployments of one endpoint. Of two that run at once one fails with ConflictError and changes nothing."""

    def __init__(
        self,
        endpoints: Endpoints,
        tracking: Tracking,
        items: ItemStore,
        spec: EndpointSpec,
        *,
        system: str,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._endpoints = endpoints
        self._tracking = tracking
        self._items = items
        self._spec = spec
        self._clock = clock
        self.name = f"{system}/{spec.name}"
        self.model = f"{system}.{spec.model}"

    def deploy(
        self, version: int, reason: str, run_id: str = "", *, allow_signature_change: bool = False
    ) -> Deployment:
        """Make `version` the desired one, under the endpoint's spec as it is now; the same again changes nothing.

        Raises:
            NotFoundError: no such registered version.
            GateError: its verdict is not a pass, or people who are to approve it have not.
            ConflictError: callers of what serves now would break, and `allow_signature_change` is not set; or another
                deployment came first.
        """
        found = self._registered(version)
        self._check_verdict(found)
        current = self._endpoints.desired(self.name)
        if current is None or current.digest != found.digest:
            require_approval(self._tracking, found)
        if current is not None and not allow_signature_change:
            self._check_callers(current, found)
        return self._deploy(current, found, reason, run_id)

    def promote(self, version: int, *, run_id: str = "", allow_signature_change: bool = False) -> Deployment:
        """`deploy`, asked for by a person."""
        return self.deploy(version, "promote", run_id, allow_signature_change=allow_signature_change)

    def rollback(self, to: int | None = None, *, run_id: str = "") -> Deployment:
        """Serve again what generation `to` served; by default the version before the present one.

        A second rollback goes further back. Callers of the earlier form were served before, so that a change of the
        signature does not stand in the way.

        Raises:
            NotFoundError: there is no such generation, or nothing earlier.
            GateError: its verdict is not a pass, or people rejected it since.
        """
        history = self._endpoints.history(self.name)
        if not history:
            raise NotFoundError(
                f"Endpoint '{self.name}' was never deployed; there is nothing to go back to.",
                next_step=f"Deploy a version first: mlplatform promote {self.name} VERSION",
            )
        if to is None:
            version = rollback_target(d.version for d in history)
            if version is None:
                raise NotFoundError(
                    f"Endpoint '{self.name}' has served version {history[-1].version} only; there is no earlier one.",
                    next_step=f"Deploy another version instead: mlplatform promote {self.name} VERSION",
                )
        else:
            by_generation = {d.generation: d.version for d in history}
            if to not in by_generation:
                raise NotFoundError(
                    f"Endpoint '{self.name}' has no generation {to}; it has {history[0].generation} to {history[-1].generation}.",
                    next_step="Choose one of these, or leave it out for the version before the present one.",
                )
            version = by_generation[to]
        found = self._registered(version)
        self._check_verdict(found)
        try:
            require_approval(self._tracking, found)
        except TransientError as error:
            # It served before, and whoever goes back may be in need.
            log.warning("endpoint %s goes back to version %d without asking people: %s", self.name, version, error)
        return self._deploy(history[-1], found, "rollback", run_id)

    def apply_settings(self, *, run_id: str = "") -> Deployment | None:
        """Serve the present version under the spec as it is now, where it changed; None for what was never deployed."""
        current = self._endpoints.desired(self.name)
        if current is None:
            return None
        return self._deploy(current, self._registered(current.version), "settings", run_id)

    def advance(self) -> None:
        """Where another service serves: ask it for what the newest deployment still waits for."""
        if isinstance(self._endpoints, SelfServing):
            self._endpoints.advance(self.name)

    def reconcile(self) -> bool:
        """Point the alias ``champion`` at the version of the deployment record; whether it had to be moved."""
        current = self._endpoints.desired(self.name)
        if current is None:
            return False
        versions = self._tracking.versions(self.model)
        champions = [v.version for v in versions if CHAMPION in v.aliases]
        if any(v.version == current.version and CHALLENGER in v.aliases for v in versions):
            self._tracking.set_alias(self.model, CHALLENGER, None)
        if champions == [current.version]:
            return False
        self._tracking.set_alias(self.model, CHAMPION, current.version)
        return True

    def _deploy(self, current: Deployment | None, found: ModelVersion, reason: str, run_id: str) -> Deployment:
        settings = self._spec.model_dump(mode="json")
        if current is not None and current.digest == found.digest and dict(current.settings) == settings:
            self.reconcile()
            try:
                self.advance()
            except TransientError as error:
                log.warning("endpoint %s generation %d: %s", self.name, current.generation, error)
            return current
        removed = removed_endpoint(self._items, self.name)
        last = current.generation if current else removed.generation if removed else 0
        deployment = Deployment(
            endpoint=self.name,
            generation=last + 1,
            model=self.model,
            version=found.version,
            digest=found.digest,
            reason=reason,
            run_id=run_id,
            created_at=self._clock().isoformat(),
            settings=settings,
        )
        # Fetched here, once, so that the gateway's workers find it on this machine; a damaged one is refused.
        self._tracking.package(self.model, found.digest)
        self._endpoints.deploy(deployment)
        try:
            self.reconcile()
        except TransientError as error:
            # It is deployed; housekeeping sets the alias.
            log.warning("endpoint %s generation %d: %s", self.name, deployment.generation, error)
        return deployment

    def _registered(self, version: int) -> ModelVersion:
        versions = self._tracking.versions(self.model)
        for found in versions:
            if found.version == version:
                return found
        there = ", ".join(str(v.version) for v in versions) or "none"
        raise NotFoundError(
            f"Model '{self.model}' has no version {version}; it has: {there}.",
            next_step="Take one that mlplatform models lists; training makes the first.",
        )

    def _check_verdict(self, found: ModelVersion) -> None:
        item = self._items.get(VERDICTS, found.digest)
        if item is None:
            raise GateError(
                f"Version {found.version} of model '{self.model}' has no verdict (digest {found.digest[:12]}…).",
                next_step="Run the gate on it first.",
            )
        if item.value.get("passed") is not True:
            raise GateError(
                f"Version {found.version} of model '{self.model}' did not pass the gate: {item.value.get('reason', 'no reason given')}",
                next_step="Deploy a version that did.",
            )

    def _check_callers(self, current: Deployment, found: ModelVersion) -> None:
        broken = breaking_changes(self._manifest(current.digest).signature, self._manifest(found.digest).signature)
        before = EndpointSpec.model_validate(dict(current.settings))
        if before.prediction != self._spec.prediction:
            broken.append(f"the answer's '{before.prediction}' is now '{self._spec.prediction}'")
        broken += [f"key '{name}' is no longer taken" for name in before.keys if name not in self._spec.keys]
        if broken:
            raise ConflictError(
                f"Version {found.version} would break callers of endpoint '{self.name}', which serves version "
                f"{current.version}: {'; '.join(broken)}.",
                next_step="Serve it by an endpoint of another name, or allow the signature change.",
            )

    def _manifest(self, digest: str) -> Manifest:
        package: Path = self._tracking.package(self.model, digest)
        return Manifest.from_json(json.loads((package / MANIFEST).read_bytes()))
