"""Where a personal value would be told by what a system is asked to do: refused, with what to write instead.

Categories, classes and segments are listed by name in model packages, answers and reports; a window is named by where it
begins and ends. What tells nobody's value is named in the feature set's `anonymous`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlplatform.spec.fault import Fault
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.personal import UntoldError

if TYPE_CHECKING:
    from mlplatform.spec.system import SystemSpec


def personal_faults(system: SystemSpec) -> Iterator[Fault]:
    """Faults of all feature sets and models; those whose query file is missing are left to other checks."""
    personal: dict[str, frozenset[str]] = {}
    for features in system.all(FeatureSetSpec):
        if not (system.folder / features.query).is_file():
            continue
        try:
            personal[features.name] = system.personal(features)
        except UntoldError as error:
            why = f"'{features.query}': which columns are made of personal ones cannot be told, since {error}"
            yield Fault(features.name, ("query",), f"{why}; name the columns of the system's own tables")
            continue
        yield from _of_features(features, personal[features.name])
    for model in system.all(ModelSpec):
        target = next((f.target for f in system.all(FeatureSetSpec) if f.name == model.features), "")
        found = personal.get(model.features, frozenset())
        if model.task != "regression" and target in found:
            why = "its values would be named as classes by the model and every answer"
            yield Fault(model.name, ("task",), _message(f"target '{target}'", why))
        for index, name in enumerate(model.gate.segments):
            if name in found:
                why = "its values would name the segments"
                yield Fault(model.name, ("gate", "segments", index), _message(f"'{name}'", why))


def _of_features(features: FeatureSetSpec, personal: frozenset[str]) -> Iterator[Fault]:
    for index, feature in enumerate(features.features):
        if feature.name in personal and feature.transform != "numeric":
            why = "its values would be listed in the model's package, where no erasure reaches them"
            yield Fault(features.name, ("features", index, "transform"), _message(f"'{feature.name}'", why))
    if features.window is not None and features.window.column in personal:
        why = "its values would name the windows"
        yield Fault(features.name, ("window", "column"), _message(f"'{features.window.column}'", why))


def _message(what: str, why: str) -> str:
    return f"{what} is made of a personal column, and {why}; make something of it that tells nobody's value, and name that in 'anonymous' of the feature set"
