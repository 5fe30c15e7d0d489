"""A system cut down for a rehearsal: the same stations and rules, with less of what only costs time."""

from __future__ import annotations

from typing import Any

from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.model import HIGHER_IS_BETTER, ModelSpec
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.spec.notification import NotifySpec
from mlplatform.spec.station import StationSpec
from mlplatform.spec.system import SystemSpec

ROUNDS = 20
TRIALS = 1
SEARCH_S = 10.0
JOB_S = 120
SPENDING = {"num_round": ROUNDS, "time_limit": 20, "time_limit_s": 20}
"""Hyperparameters that say how long a container works, and the most they may say here."""

UNASKED = {"xgboost": ("num_round",), "autogluon": ("time_limit_s",)}
"""Those that a container of the platform's takes; they are set where the model leaves them to it."""


def cut_down(system: SystemSpec) -> SystemSpec:
    """`system` with few rounds, one trial, small samples allowed, and nobody told."""
    stations = tuple(_cut(s) for s in system.stations if not isinstance(s, NotifySpec))
    return SystemSpec(system.name, system.folder, stations)


def without_threshold(model: ModelSpec) -> ModelSpec:
    """`model` with a gate that any model passes that has no champion beside it."""
    nothing = float("-inf") if HIGHER_IS_BETTER[model.gate.metric] else float("inf")
    return model.model_copy(update={"gate": model.gate.model_copy(update={"threshold": nothing})})


def _cut(station: StationSpec) -> StationSpec:
    if isinstance(station, FeatureSetSpec):
        return station.model_copy(update={"minimum_rows": 1})
    if isinstance(station, MonitorSpec) and station.quality is not None:
        return station.model_copy(update={"quality": station.quality.model_copy(update={"minimum_rows": 1})})
    if isinstance(station, ModelSpec):
        return _cut_model(station)
    return station


def _cut_model(model: ModelSpec) -> ModelSpec:
    search = model.search and model.search.model_copy(
        update={"trials": min(TRIALS, model.search.trials), "timeout_s": min(SEARCH_S, model.search.timeout_s)}
    )
    limits = {"timeout_s": min(JOB_S, model.limits.timeout_s)}
    return model.model_copy(
        update={
            "hyperparameters": _spend_less(model),
            "search": search,
            "limits": model.limits.model_copy(update=limits),
        }
    )


def _spend_less(model: ModelSpec) -> dict[str, Any]:
    given: dict[str, Any] = dict(model.hyperparameters)
    for name in UNASKED.get(model.container, ()):
        given.setdefault(name, SPENDING[name])
    return {
        name: min(SPENDING[name], value) if name in SPENDING and isinstance(value, int | float) else value
        for name, value in given.items()
    }
