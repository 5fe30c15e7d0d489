"""Registry: makes a candidate a version, if the gate's verdict against the present champion is a pass."""

from __future__ import annotations

from mlplatform.errors import ConflictError, GateError, NotFoundError
from mlplatform.ports.endpoints import Endpoints
from mlplatform.ports.item_store import ItemStore
from mlplatform.ports.tracking import ModelVersion, Tracking
from mlplatform.spec.model import ModelSpec
from mlplatform.stations.approvals import approval_of, require_approval
from mlplatform.stations.champion_version import ALIAS, champion_of
from mlplatform.stations.verdict import CANDIDATES, require_pass, stored_verdict

CHALLENGER = "challenger"


class Registry:
    """Versions of one model; `endpoint` is ``<system>/<endpoint>`` that serves it, or None."""

    def __init__(
        self,
        tracking: Tracking,
        items: ItemStore,
        endpoints: Endpoints,
        model: ModelSpec,
        *,
        system: str,
        endpoint: str | None = None,
    ) -> None:
        self._tracking = tracking
        self._items = items
        self._endpoints = endpoints
        self._endpoint = endpoint
        self.name = f"{system}.{model.name}"

    def register(self, digest: str) -> ModelVersion:
        """Register the candidate of `digest`; the same again gives the same version, and the champion is one already.

        Raises:
            GateError: no verdict, no pass, or a pass against another champion than the present one.
            NotFoundError: no candidate of that digest.
        """
        champion = self.champion()
        if champion is not None and champion.digest == digest:
            return champion
        verdict = require_pass(
            self._items, model=self.name, digest=digest, champion_digest=champion.digest if champion else None
        )
        made = self._tracking.register(self.name, digest, verdict=verdict.to_json())
        if self._endpoint is None and approval_of(self._tracking, made).status == "approved":
            # Nothing is deployed that the alias could follow: what passed against the present champion is the new one.
            self._tracking.set_alias(self.name, ALIAS, made.version)
        elif champion is not None and self._endpoint is not None:
            self._tracking.set_alias(self.name, CHALLENGER, made.version)
        return made

    def register_latest(self) -> ModelVersion:
        """Register the candidate that was judged last. Raises GateError before the first, and as `register` does."""
        item = self._items.get(CANDIDATES, self.name)
        if item is None:
            raise GateError(f"No candidate of '{self.name}' was judged yet.", next_step="Train and judge one.")
        return self.register(str(item.value["digest"]))

    def appoint(self, version: int) -> ModelVersion:
        """Make a version the champion of a model that no endpoint serves: a person's choice, as when a newer one disappoints.

        Raises:
            NotFoundError: there is no such version.
            GateError: it has no verdict, or no pass; or people who are to approve it have not.
            ConflictError: an endpoint serves the model; its deployments say what the champion is.
        """
        if self._endpoint is not None:
            raise ConflictError(
                f"Endpoint '{self._endpoint}' serves model '{self.name}'.",
                next_step=f"mlplatform promote {self._endpoint} {version}",
            )
        versions = self.versions()
        found = next((v for v in versions if v.version == version), None)
        if found is None:
            there = ", ".join(str(v.version) for v in versions) or "none"
            raise NotFoundError(
                f"Model '{self.name}' has no version {version}; it has: {there}.",
                next_step="Take one that mlplatform models lists; training makes the first.",
            )
        verdict = stored_verdict(self._items, found.digest)
        if verdict is None or not verdict.passed:
            why = "has no verdict" if verdict is None else f"did not pass the gate: {verdict.reason}"
            raise GateError(f"Version {version} of model '{self.name}' {why}", next_step="Choose one that passed.")
        require_approval(self._tracking, found)
        self._tracking.set_alias(self.name, ALIAS, version)
        return found

    def versions(self) -> list[ModelVersion]:
        """All versions with their metrics, oldest first."""
        return self._tracking.versions(self.name)

    def champion(self) -> ModelVersion | None:
        """The version that serves (of a model that no endpoint serves: that passed last), or None before the first."""
        return champion_of(self._endpoints, self._tracking, model=self.name, endpoint=self._endpoint)
