"""Versions: the engine's own snapshots of a warehouse, where it keeps them and can say when each was made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class EngineVersion:
    """One snapshot: what `Warehouse.query` takes as `at`, and when it was made (UTC).

    `stood_alone`: whether it is how the tables stood until the next one that is listed; upkeep lets others between them go.
    """

    version: str
    made_at: datetime
    stood_alone: bool = True


@runtime_checkable
class Versioned(Protocol):
    """A warehouse that can list its snapshots (its capabilities say ``snapshots``)."""

    def versions(self) -> list[EngineVersion]:
        """Every snapshot that can still be read, oldest first."""
        ...
