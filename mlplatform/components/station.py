"""What every component shares: its spec is its YAML schema, and its assets bear the system's name in front."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import dagster as dg
from pydantic import BaseModel

from mlplatform.core.tables.schema import TableSchema
from mlplatform.spec.loader import FILE_NAME, load_system
from mlplatform.spec.station import StationSpec
from mlplatform.spec.system import SystemSpec

PLATFORM = "platform"
"""Key of the resource through which assets reach the stations."""

DEFAULT_OWNERS = ["team:data"]
"""Who owns what its YAML gives no owner."""

REQUEST_TAG = "mlplatform/request"
"""Run tag with the id of the request (first training, retraining) that a run answers."""

WILL_RETRY_TAG = "dagster/will_retry"
"""Dagster's own: set on a failed run that is about to be run again."""


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


def common(
    system: SystemSpec, spec: StationSpec, *, kinds: set[str], suffix: str = "", description: str = "", query: str = ""
) -> Any:
    """Arguments that every asset of the system has: key, group, description, owners, kinds, code version."""
    return {
        "key": key_of(system, spec.name + suffix),
        "group_name": system.name,
        "description": description or spec.description,
        "owners": list(spec.owners) or DEFAULT_OWNERS,
        "kinds": kinds,
        "code_version": code_version(spec, query),
    }


def code_version(spec: StationSpec, *texts: str) -> str:
    """Changes when what a station asks for does, in its YAML or a file that names; its description and owners do not count."""
    asked = spec.model_dump(mode="json", exclude={"description", "owners"})
    return hashlib.sha256(json.dumps([asked, *texts], sort_keys=True).encode()).hexdigest()[:12]


def line_of(context: dg.AssetExecutionContext) -> str:
    """Id of the run that began this line: a run that was retried after a crash goes on with what the first one made."""
    return context.run.root_run_id or context.run.run_id


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
                    other=[
                        *_bounds(c.minimum, c.maximum),
                        *([f"one of {', '.join(c.domain)}"] if c.domain else []),
                        *(["personal"] if c.personal else []),
                    ],
                ),
            )
            for c in schema.columns
        ]
    )


def _bounds(minimum: object, maximum: object) -> list[str]:
    return [f"{sign} {value}" for sign, value in (("≥", minimum), ("≤", maximum)) if value is not None]
