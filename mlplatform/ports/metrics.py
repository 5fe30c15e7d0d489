"""Metrics: numbers about what runs, for who watches it elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True)
class Measure:
    """One number: `dimensions` say of what. A count is of what happened since the last one; a level is as it stands."""

    name: str
    value: float
    kind: Literal["count", "level"]
    dimensions: Mapping[str, str] = field(default_factory=dict)


class Metrics(Protocol):
    """CloudWatch's role."""

    @property
    def every_s(self) -> float:
        """Seconds between two puts."""
        ...

    def put(self, measures: Sequence[Measure], at: datetime) -> None:
        """Keep them. Raises PlatformError; then some may be kept."""
        ...

    def watch(self, *, beat: str, troubles: str) -> None:
        """Let people be told when the count `beat` stays away, or the level `troubles` stays above none, where the connection
        says whom to tell. Done twice, it is as done once."""
        ...
