"""AutoGluon's settings, as a Model's hyperparameters carry them: checked by name and value, then as `fit` takes them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlplatform.core.packages.manifest import Task
from mlplatform.core.training.plan import TrainingPlan
from mlplatform.errors import SpecError

PRESETS = ("medium_quality", "good_quality", "high_quality", "best_quality")
NEURAL = ("NN_TORCH", "FASTAI")
"""Neural networks: fitted where the container's environment has PyTorch."""
MODEL_TYPES = ("GBM", "CAT", "XGB", "RF", "XT", "KNN", "LR", *NEURAL)
DEFAULTS = {"presets": "medium_quality", "time_limit_s": "120", "num_cpus": "2"}

NEEDS_MORE = ("REALMLP", "TABM", "TABICL", "TABDPT", "MITRA")
"""Kinds of models that some presets name, and that need libraries beside PyTorch, or weights out of a hub."""

PROBLEM_TYPES: dict[Task, str] = {"regression": "regression", "binary": "binary", "multiclass": "multiclass"}
METRICS: dict[Task, dict[str, str]] = {
    "regression": {"r2": "r2", "rmse": "root_mean_squared_error", "mae": "mean_absolute_error"},
    "binary": {"accuracy": "accuracy", "f1": "f1", "roc_auc": "roc_auc", "log_loss": "log_loss"},
    "multiclass": {"accuracy": "accuracy", "f1": "f1_macro", "roc_auc": "roc_auc_ovr_macro", "log_loss": "log_loss"},
}
"""The gate's metric as AutoGluon calls it."""


@dataclass(frozen=True)
class Settings:
    """What to fit. `parameters`: all of them as text, for the package.

    Attributes:
        bagged: whether models are judged on folds of all rows, else on the validation rows.
        fit: keyword arguments of AutoGluon's `fit`.
    """

    parameters: dict[str, str]
    bagged: bool
    fit: dict[str, Any]


def read_settings(given: Mapping[str, str], plan: TrainingPlan, *, torch: bool = False) -> Settings:
    """Defaults under the given hyperparameters. `torch`: whether there is PyTorch, so that neural networks are fitted as well.

    Raises:
        SpecError: an unknown name, a value that does not fit, or a search, which AutoGluon makes by itself.
    """
    for name in given:
        if name not in _KINDS:
            close = difflib.get_close_matches(name, _KINDS, n=1, cutoff=0.75)
            hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(sorted(_KINDS))}."
            raise SpecError(f"AutoGluon's container has no hyperparameter '{name}'.", next_step=hint)
    if plan.search is not None and plan.search.trials:
        raise SpecError(
            f"AutoGluon chooses models and their settings by itself; found a search of {plan.search.trials} trials.",
            next_step="Remove 'search' from the model.",
        )
    if plan.metric not in METRICS[plan.task]:
        raise SpecError(f"Metric '{plan.metric}' is none of {plan.task}; there are: {', '.join(METRICS[plan.task])}.")
    parameters = {**DEFAULTS, **given}
    values = {name: _KINDS[name](name, text) for name, text in parameters.items()}
    folds = values.get("num_bag_folds", 0 if values["presets"] == "medium_quality" else 8)
    if values.get("num_stack_levels") and not folds:
        raise SpecError(
            "Hyperparameter 'num_stack_levels': layers need folds.", next_step="Set num_bag_folds to 5, say."
        )
    fit: dict[str, Any] = {
        "presets": values["presets"],
        "time_limit": values["time_limit_s"],
        "num_cpus": values["num_cpus"],
        "num_gpus": 0,
        "dynamic_stacking": False,
        "num_bag_folds": folds,
        "excluded_model_types": [*NEEDS_MORE, *(() if torch else NEURAL), *values.get("excluded_model_types", ())],
        **{name: values[name] for name in ("num_bag_sets", "num_stack_levels") if name in values},
    }
    return Settings(parameters, bool(folds), fit)


def _whole(least: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise SpecError(f"Hyperparameter '{name}': expected a whole number from {least}, found '{text}'.")
        return value

    return read


def _folds(name: str, text: str) -> int:
    value = _whole(0)(name, text)
    if value == 1:
        raise SpecError(f"Hyperparameter '{name}': expected 0 or at least 2, found '1'.")
    return value


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise SpecError(f"Hyperparameter '{name}': expected seconds above 0, found '{text}'.")
    return value


def _preset(name: str, text: str) -> str:
    if text not in PRESETS:
        raise SpecError(
            f"Hyperparameter '{name}': expected one of {', '.join(PRESETS)}, found '{text}'.",
            next_step="That one needs models out of a hub." if "extreme" in text else "",
        )
    return text


def _types(name: str, text: str) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    for part in found:
        if part not in MODEL_TYPES:
            raise SpecError(f"Hyperparameter '{name}': expected some of {','.join(MODEL_TYPES)}, found '{part}'.")
    return found


_KINDS: dict[str, Callable[[str, str], Any]] = {
    "presets": _preset,
    "time_limit_s": _seconds,
    "num_bag_folds": _folds,
    "num_bag_sets": _whole(1),
    "num_stack_levels": _whole(0),
    "num_cpus": _whole(1),
    "excluded_model_types": _types,
}
