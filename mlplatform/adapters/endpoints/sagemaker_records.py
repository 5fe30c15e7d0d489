"""Deployment records in the item store, one item a generation, never changed; and how far each endpoint has come.

    deployments            <system>/<endpoint>/<generation, 9 digits>   the record
    deployment_progress    <system>/<endpoint>                          what was asked of SageMaker last

The items' store makes one of two who deploy the same generation fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from mlplatform.adapters.endpoints.generations import checked, conflict, follows
from mlplatform.errors import ConflictError, StateError
from mlplatform.ports.endpoints import Deployment
from mlplatform.ports.item_store import Item, ItemStore

RECORDS, PROGRESS = "deployments", "deployment_progress"
_BEHIND_ALL = ":"
"""Sorts behind every digit."""


@dataclass(frozen=True)
class Progress:
    """The configuration that was asked for, and when SageMaker had changed the endpoint last before that."""

    config: str
    changed_at: str


class DeploymentRecords:
    """Any number of processes may use them at once."""

    def __init__(self, items: ItemStore) -> None:
        self._items = items
        self._newest: dict[str, Item] = {}

    def add(self, deployment: Deployment) -> None:
        """Write a record. Raises ConflictError where its generation is not the next."""
        newest = self.newest(deployment.endpoint)
        current = newest.generation if newest else 0
        if not follows(deployment, current):
            raise conflict(deployment, current)
        try:
            self._items.put(RECORDS, _key(deployment), deployment.to_json(), expected_version=0)
        except ConflictError as error:
            newest = self.newest(deployment.endpoint)
            raise conflict(deployment, newest.generation if newest else 0) from error

    def newest(self, endpoint: str) -> Deployment | None:
        """The newest record; only what is newer than the last one found is read."""
        known = self._newest.get(checked(endpoint))
        if known is not None and self._items.get(RECORDS, known.key) is None:
            known = None
        for item in self._items.list(RECORDS, prefix=f"{endpoint}/", after=known.key if known else ""):
            known = item
        if known is None:
            self._newest.pop(endpoint, None)
            return None
        self._newest[endpoint] = known
        return _deployment(known)

    def history(self, endpoint: str) -> list[Deployment]:
        """All generations, oldest first."""
        return [_deployment(item) for item in self._items.list(RECORDS, prefix=f"{checked(endpoint)}/")]

    def get(self, endpoint: str, generation: int) -> Deployment | None:
        """One generation's record."""
        item = self._items.get(RECORDS, f"{checked(endpoint)}/{generation:09d}")
        return _deployment(item) if item else None

    def endpoints(self) -> Iterator[str]:
        """Names of those with a record, in order; one item of each is read."""
        after = ""
        while item := next(iter(self._items.list(RECORDS, after=after, limit=1)), None):
            name = item.key.rpartition("/")[0]
            yield name
            after = f"{name}/{_BEHIND_ALL}"

    def remove(self, endpoint: str) -> None:
        """Forget the endpoint; the newest record goes last, so that what was broken off is seen and goes on."""
        for item in list(self._items.list(RECORDS, prefix=f"{checked(endpoint)}/")):
            self._items.delete(RECORDS, item.key)
        self._items.delete(PROGRESS, endpoint)
        self._newest.pop(endpoint, None)

    def progress(self, endpoint: str) -> Progress | None:
        """What was asked for last."""
        item = self._items.get(PROGRESS, endpoint)
        return Progress(**item.value) if item else None

    def asks(self, endpoint: str, progress: Progress) -> None:
        """Note what is about to be asked for."""
        self._items.put(PROGRESS, endpoint, asdict(progress))


def _key(deployment: Deployment) -> str:
    return f"{deployment.endpoint}/{deployment.generation:09d}"


def _deployment(item: Item) -> Deployment:
    try:
        return Deployment(**item.value)
    except TypeError as error:
        raise StateError(
            f"Deployment record '{item.key}' is damaged: {error}.",
            next_step="Restore it from a backup, or deploy again.",
        ) from error
