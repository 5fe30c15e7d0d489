"""Asset events: tell the orchestrator what happened outside its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class CheckOutcome:
    """One check's result; `metadata` is evidence (numbers, strings, tables as lists of dicts)."""

    name: str
    passed: bool
    blocking: bool
    metadata: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""


class AssetEvents(Protocol):
    """Dagster's event log, without a run."""

    def materialized(
        self, asset: Sequence[str], *, metadata: Mapping[str, Any], checks: Sequence[CheckOutcome] = ()
    ) -> None:
        """Report that `asset` (its key's parts) was materialized, with check results for it."""
        ...

    def shown(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Evidence in the orchestrator's own types: tables, links, long text. `materialized` does so by itself."""
        ...

    def prepare(self) -> None:
        """Make the orchestrator's state where it is missing, once, before several processes look for it."""
        ...

    def sweep(self) -> Sequence[str]:
        """Mark runs as failed whose process is gone; their ids."""
        ...

    def bring_back(self, now: datetime) -> Sequence[str]:
        """Let nothing have been evaluated after `now`, where the clock was set back; what was, by name."""
        ...
