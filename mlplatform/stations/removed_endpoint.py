"""Endpoints that were removed: their generations are never given again, so that an old id never means a new model.

Items of the collection `removed_endpoints`, one under each ``<system>/<endpoint>``; they outlive the system.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mlplatform.ports.endpoints import Endpoints
from mlplatform.ports.item_store import ItemStore

COLLECTION = "removed_endpoints"


@dataclass(frozen=True)
class RemovedEndpoint:
    """An endpoint's last generation when it was removed; a new endpoint of the name counts on behind it."""

    generation: int
    removed_at: str


def remove_endpoint(endpoints: Endpoints, items: ItemStore, name: str, *, now: datetime) -> None:
    """Remove endpoint `name` (``<system>/<endpoint>``); where it ended is noted first."""
    current = endpoints.desired(name)
    if current is not None:
        items.put(COLLECTION, name, {"generation": current.generation, "removed_at": now.isoformat(timespec="seconds")})
    endpoints.remove(name)


def removed_endpoint(items: ItemStore, name: str) -> RemovedEndpoint | None:
    """Where the last endpoint called `name` ended, or None."""
    item = items.get(COLLECTION, name)
    return None if item is None else RemovedEndpoint(**item.value)
