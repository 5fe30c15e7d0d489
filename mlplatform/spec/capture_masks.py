"""What an endpoint masks in what it captures: the fields that its YAML names, and those that are personal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mlplatform.errors import NotFoundError
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.fault import Fault
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.spec.personal import UntoldError
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    from mlplatform.spec.system import SystemSpec


def with_masks(system: SystemSpec) -> SystemSpec:
    """The system whose endpoints' `capture.mask` names all that is masked."""
    if not system.is_personal:
        return system
    stations = tuple(_with_masks(system, s) if isinstance(s, EndpointSpec) else s for s in system.stations)
    return replace(system, stations=stations)


def personal_fields(system: SystemSpec, endpoint: EndpointSpec) -> list[str]:
    """Fields of a request that are personal: inputs made of personal columns, and keys called like one."""
    features = features_of(system, endpoint)
    personal = system.personal(features)
    columns = {name for table in system.all(TableSpec) for name in table.schema_().personal}
    inputs = [f.name for f in features.features]
    return [*(n for n in inputs if n in personal), *(k for k in endpoint.keys if k in columns and k not in inputs)]


def features_of(system: SystemSpec, endpoint: EndpointSpec) -> FeatureSetSpec:
    """The feature set of the endpoint's model."""
    return system.get(FeatureSetSpec, system.get(ModelSpec, endpoint.model).features)


def check_joined(system: SystemSpec, monitor: MonitorSpec, endpoint: EndpointSpec) -> Iterator[Fault]:
    """That what captured predictions are joined to the table by was captured as it was sent.

    A mask could be joined to masks only, and the warehouse, where they are joined, has no key to make these with.
    """
    try:
        features, table = features_of(system, endpoint), system.get(TableSpec, monitor.table)
    except NotFoundError:
        return  # a fault of its own
    joined = [*endpoint.keys, *(f.name for f in features.features if f.name in table.unique_key)]
    personal = _known_personal(system, endpoint)
    capture = endpoint.capture
    for name in joined:
        what = f"{'key' if name in endpoint.keys else 'feature'} '{name}'"
        if name in (*capture.mask, *capture.drop):
            why = f"captured predictions are joined by {what}, which endpoint '{endpoint.name}' masks or drops"
            yield Fault(monitor.name, ("quality", "predictions"), why)
        elif name in personal and name not in capture.keep:
            why = (
                f"captured predictions are joined by {what}, which is personal, so that endpoint '{endpoint.name}' masks "
                "it; name it in its capture.keep, or join by a key that is not personal"
            )
            yield Fault(monitor.name, ("quality", "predictions"), why)


def _known_personal(system: SystemSpec, endpoint: EndpointSpec) -> list[str]:
    try:
        return personal_fields(system, endpoint)
    except (OSError, UntoldError):
        return []  # a fault of its own


def _with_masks(system: SystemSpec, endpoint: EndpointSpec) -> EndpointSpec:
    capture = endpoint.capture
    said = {*capture.mask, *capture.drop, *capture.keep}
    more = [name for name in personal_fields(system, endpoint) if name not in said]
    return endpoint.model_copy(update={"capture": capture.model_copy(update={"mask": [*capture.mask, *more]})})
