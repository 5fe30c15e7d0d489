"""Rows that a model of the rehearsal does not learn from, so that each monitor finds one window of them to judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlplatform.core.sql import identifier
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.spec.system import SystemSpec
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    from mlplatform.platform import SystemStations

SHARE = 6
"""One in so many values of the window's column is held back."""


@dataclass(frozen=True)
class HeldBack:
    """Values of a window's column: training ends at `as_of`; `size` of those behind it make one window.

    None held back (`size` 0): no monitor watches, there is no window, or the sample has too few values.
    """

    as_of: str | None = None
    size: int = 0


def held_back(stations: SystemStations, features: FeatureSetSpec) -> HeldBack:
    """What to hold back of a feature set's rows for the monitors of its models."""
    monitors = monitors_of(stations.spec, features)
    if features.window is None or not monitors:
        return HeldBack()
    table = stations.spec.get(TableSpec, features.table)
    column, query = identifier(features.window.column), stations.spec.query(features).strip().rstrip(";")
    sql = f"SELECT DISTINCT CAST({column} AS VARCHAR) AS value, {column} AS ordered FROM (\n{query}\n) AS q WHERE {column} IS NOT NULL ORDER BY ordered"  # noqa: S608
    found = stations.warehouse(table.connection).query(sql).column("value").to_pylist()
    values = [str(value) for value in found]
    size = min(len(values) // SHARE, max(m.window.size for m in monitors))
    # Where others load a table, a window is whole when a later value is there.
    behind = size + (1 if table.existing else 0)
    return HeldBack(values[-behind - 1], size) if size else HeldBack()


def monitors_of(system: SystemSpec, features: FeatureSetSpec) -> list[MonitorSpec]:
    """The monitors of endpoints whose models learn from `features`."""
    models = {m.name for m in system.all(ModelSpec) if m.features == features.name}
    endpoints = {e.name for e in system.all(EndpointSpec) if e.model in models}
    return [m for m in system.all(MonitorSpec) if m.endpoint in endpoints]


def with_windows(system: SystemSpec, features: FeatureSetSpec, size: int) -> SystemSpec:
    """The system with windows that small for the monitors of `features`."""
    mine = {m.name for m in monitors_of(system, features)}
    return SystemSpec(system.name, system.folder, tuple(_sized(system.stations, mine, size)))


def _sized(stations: Sequence[object], names: set[str], size: int) -> list:  # type: ignore[type-arg]
    return [
        s.model_copy(update={"window": s.window.model_copy(update={"size": min(size, s.window.size)})})
        if isinstance(s, MonitorSpec) and s.name in names
        else s
        for s in stations
    ]
