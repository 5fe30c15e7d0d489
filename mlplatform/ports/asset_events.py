"""Asset events: tell the orchestrator what happened outside its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
