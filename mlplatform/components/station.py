"""What every component shares: its spec is its YAML schema, and its assets bear the system's name in front."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import dagster as dg
from pydantic import BaseModel

from mlplatform.core.tables.schema import TableSchema
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.spec.loader import FILE_NAME, load_system
from mlplatform.spec.station import StationSpec
from mlplatform.spec.system import SystemSpec

PLATFORM = "platform"
"""Key of the resource through which assets reach the stations."""

DEFAULT_OWNERS = ["team:data"]
"""Who owns what its YAML gives no owner."""

REQUEST_TAG = "mlplatform/request"
"""Run tag with the id of the request (first training, retraining) that a run answers."""


class Station(dg.Component, dg.Resolvable):
    """A component whose fields are a `StationSpec`'s, read from YAML as they stand (no templates)."""

    @classmethod
    def model(cls) -> type[BaseModel]:
        return next(
            base for base in cls.__mro__ if issubclass(base, StationSpec) and not issubclass(base, dg.Component)
        )

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> Self:  # noqa: ARG003
        return cls(**{name: getattr(model, name) for name in type(model).model_fields})


def system_of(context: dg.ComponentLoadContext) -> SystemSpec:
    """The whole system whose `defs.yaml` is being loaded, cross-checked."""
    path = Path(context.path) / FILE_NAME
    return _load(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _load(path: Path, _modified: int) -> SystemSpec:
    return load_system(path)


def key_of(system: SystemSpec, station: str) -> dg.AssetKey:
    """Asset key of a station."""
    return dg.AssetKey([system.name, station])


def common(system: SystemSpec, spec: StationSpec, *, kinds: set[str], suffix: str = "", description: str = "") -> Any:
    """Arguments that every asset of the system has: key, group, description, owners, kinds."""
    return {
        "key": key_of(system, spec.name + suffix),
        "group_name": system.name,
        "description": description or spec.description,
        "owners": list(spec.owners) or DEFAULT_OWNERS,
        "kinds": kinds,
    }


def check_results(outcomes: Iterable[CheckOutcome]) -> list[dg.AssetCheckResult]:
    """The stations' outcomes as Dagster's; what does not block only warns."""
    return [
        dg.AssetCheckResult(
            check_name=o.name,
            passed=o.passed,
            severity=dg.AssetCheckSeverity.ERROR if o.blocking else dg.AssetCheckSeverity.WARN,
            metadata=dict(o.metadata),
            description=o.description or None,
        )
        for o in outcomes
    ]


def column_schema(schema: TableSchema) -> dg.TableSchema:
    """A table's columns, types and constraints as the UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=c.name,
                type=c.type,
                description=c.description,
                constraints=dg.TableColumnConstraints(
                    nullable=c.nullable,
                    unique=schema.unique_key == (c.name,),
                    other=[*_bounds(c.minimum, c.maximum), *([f"one of {', '.join(c.domain)}"] if c.domain else [])],
                ),
            )
            for c in schema.columns
        ]
    )


def _bounds(minimum: object, maximum: object) -> list[str]:
    return [f"{sign} {value}" for sign, value in (("≥", minimum), ("≤", maximum)) if value is not None]
