"""Approvals: versions that passed the gate and wait for people, where the registry is one in which people decide.

Items of the collection `approvals`, one under each ``<system>/<endpoint>/<version>`` (of a model that no endpoint serves:
``<system>/<model>/<version>``), until the version, or a later one, serves, or is rejected. A person's word is looked up each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mlplatform.errors import GateError
from mlplatform.ports.item_store import ItemStore
from mlplatform.ports.tracking import Approval, Approving, ModelVersion, Tracking

COLLECTION = "approvals"


@dataclass(frozen=True)
class Chosen:
    """What may go live now: the wanted version, an earlier one that was approved meanwhile, or none; and how the wanted one stands."""

    version: ModelVersion | None
    wanted: Approval


class Approvals:
    """Of the versions of `model`, which `name` serves."""

    def __init__(self, tracking: Tracking, items: ItemStore, *, name: str, model: str) -> None:
        self._tracking = tracking
        self._items = items
        self._name = name
        self.model = model

    def choose(self, wanted: ModelVersion, *, live: ModelVersion | None) -> Chosen:
        """What may go live in the place of `live`; a wanted version that waits is remembered."""
        approval = approval_of(self._tracking, wanted)
        if approval.status == "approved" or (live is not None and live.digest == wanted.digest):
            return Chosen(wanted, approval)
        if approval.status == "pending":
            asked = {"version": wanted.version, "asked_at": datetime.now(UTC).isoformat(timespec="seconds")}
            self._items.put(COLLECTION, f"{self._name}/{wanted.version}", asked)
        return Chosen(self.due(live=live), approval)

    def due(self, *, live: ModelVersion | None) -> ModelVersion | None:
        """The newest version that waited and is approved by now, or None; the rejected ones wait no longer.

        One that is older than `live` is not gone back to: that is a person's rollback.
        """
        waiting = self.waiting()
        if not waiting:
            return None
        versions = {v.version: v for v in self._tracking.versions(self.model)}
        for number in reversed(waiting):
            version = versions.get(number)
            if version is None or (live is not None and number <= live.version):
                self._forget(number)
                continue
            status = approval_of(self._tracking, version).status
            if status == "approved":
                return version
            if status == "rejected":
                self._forget(number)
        return None

    def waiting(self) -> Sequence[int]:
        """As `waiting_of`."""
        return waiting_of(self._items, self._name)

    def done(self, version: int) -> None:
        """`version` is live: it waits no longer, nor do earlier ones."""
        for number in self.waiting():
            if number <= version:
                self._forget(number)

    def _forget(self, number: int) -> None:
        self._items.delete(COLLECTION, f"{self._name}/{number}")


def waiting_of(items: ItemStore, name: str) -> Sequence[int]:
    """Versions that wait, oldest first; asks nobody but the items."""
    return sorted(int(item.value["version"]) for item in items.list(COLLECTION, prefix=f"{name}/"))


def approval_of(tracking: Tracking, version: ModelVersion) -> Approval:
    """How people decided; approved where the registry is none in which they do."""
    return tracking.approval(version) if isinstance(tracking, Approving) else Approval("approved")


def require_approval(tracking: Tracking, version: ModelVersion) -> None:
    """Raises GateError where the version waits for people, or was rejected."""
    approval = approval_of(tracking, version)
    if approval.status == "approved":
        return
    how = "waits for approval" if approval.status == "pending" else "was rejected"
    said = f": {approval.said}" if approval.said else ""
    raise GateError(f"Version {version.version} of model '{version.model}' {how}{said}.", next_step=f"{approval.how}.")
