"""Boosting under given hyperparameters, and a small Optuna search over them on the validation rows."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlplatform.core.packages.manifest import Task
from mlplatform.core.training.metrics import measure
from mlplatform.core.training.plan import Search, SearchRange, TrainingPlan
from mlplatform.entrypoints.xgboost_rows import Rows
from mlplatform.errors import SpecError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DEFAULTS = {
    "num_round": "300",
    "max_depth": "6",
    "eta": "0.1",
    "nthread": "2",
    "seed": "0",
    "early_stopping_rounds": "25",
}
INTEGERS = frozenset(
    {"num_round", "max_depth", "nthread", "seed", "early_stopping_rounds", "max_bin", "max_leaves", "max_cat_to_onehot"}
)
REALS = frozenset(
    {"eta", "gamma", "min_child_weight", "max_delta_step", "subsample", "colsample_bytree", "colsample_bylevel",
     "colsample_bynode", "lambda", "alpha", "scale_pos_weight"}
)  # fmt: skip
TEXTS = frozenset({"objective", "tree_method", "grow_policy", "booster"})
_OURS = frozenset({"num_round", "early_stopping_rounds"})
_OBJECTIVES: dict[Task, tuple[str, ...]] = {
    "regression": (
        "reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:squaredlogerror", "reg:gamma",
        "reg:tweedie", "count:poisson",
    ),
    "binary": ("binary:logistic",),
    "multiclass": ("multi:softprob",),
}  # fmt: skip
"""Objectives whose predictions are the target itself, or probabilities; the first is the default."""


@dataclass(frozen=True)
class Trained:
    """A booster, its rounds, and the metric on the validation rows."""

    booster: Any
    rounds: int
    value: float


@dataclass(frozen=True)
class Chosen:
    """What the search chose: hyperparameters with the rounds that were best, their value, and all trials."""

    parameters: dict[str, str]
    trained: Trained
    trials: tuple[dict[str, Any], ...]


def check_parameters(parameters: Mapping[str, str], task: Task) -> dict[str, str]:
    """Defaults under the given hyperparameters. Raises SpecError for an unknown name or a value that does not fit."""
    known = INTEGERS | REALS | TEXTS
    for name, value in parameters.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(sorted(known))}."
            raise SpecError(f"XGBoost's container has no hyperparameter '{name}'.", next_step=hint)
        _typed(name, value)
    for name, accepted in (("objective", _OBJECTIVES[task]), ("booster", ("gbtree", "dart"))):
        if parameters.get(name, accepted[0]) not in accepted:
            raise SpecError(
                f"Hyperparameter '{name}': expected one of {', '.join(accepted)} for {task}, found '{parameters[name]}'."
            )
    return {**DEFAULTS, **parameters}


def train(
    parameters: Mapping[str, str],
    task: Task,
    classes: int,
    rows: Rows,
    *,
    rounds: int | None = None,
    validation: Any = None,
) -> Any:
    """A booster; with `validation` (a DMatrix) boosting stops when that no longer improves."""
    import xgboost

    settings = {name: _typed(name, value) for name, value in parameters.items() if name not in _OURS}
    settings.setdefault("objective", _OBJECTIVES[task][0])
    settings.setdefault("verbosity", 1)
    if task == "multiclass":
        settings["num_class"] = classes
    stopping = int(parameters["early_stopping_rounds"])
    watched = validation is not None and stopping > 0
    return xgboost.train(
        settings,
        rows.dmatrix(int(parameters["nthread"])),
        int(parameters["num_round"]) if rounds is None else rounds,
        evals=[(validation, "validation")] if watched else [],
        early_stopping_rounds=stopping if watched else None,
        verbose_eval=False,
    )


def predict(booster: Any, matrix: npt.NDArray[np.float32], task: Task) -> npt.NDArray[np.float64]:
    """Predictions as metrics take them: n, or n × classes."""
    import numpy as np

    values = np.asarray(booster.inplace_predict(matrix, validate_features=False), dtype=np.float64)
    return np.column_stack([1 - values, values]) if task == "binary" else values


def search(
    plan: TrainingPlan,
    parameters: dict[str, str],
    classes: int,
    rows: Rows,
    validation: Rows,
    log: Callable[[str], None],
) -> Chosen:
    """The best of the given hyperparameters and `plan.search.trials` others, by the plan's metric on `validation`.

    The given ones are always the first trial, so that a search never ends with something worse on these rows.
    """
    matrix = validation.dmatrix(int(parameters["nthread"]))
    done: list[tuple[dict[str, str], Trained]] = []

    def attempt(trial_parameters: dict[str, str]) -> float:
        booster = train(trial_parameters, plan.task, classes, rows, validation=matrix)
        rounds = booster.num_boosted_rounds()
        if int(trial_parameters["early_stopping_rounds"]) > 0:
            rounds = booster.best_iteration + 1
            booster = booster[:rounds]
        value = measure(plan.metric, validation.labels, predict(booster, validation.matrix, plan.task))
        done.append((trial_parameters, Trained(booster, rounds, value)))
        log(f"[{len(done) - 1}] validation:{plan.metric}: {value:.6g}")
        return value

    attempt(parameters)
    if plan.search.trials and plan.search.ranges:
        _ask(plan.search, plan.higher_is_better, parameters, attempt)
    sign = 1 if plan.higher_is_better else -1
    best, trained = max(done, key=lambda d: sign * d[1].value if d[1].value == d[1].value else -float("inf"))
    trials = tuple({"parameters": p, "rounds": t.rounds, plan.metric: t.value} for p, t in done)
    return Chosen({**best, "num_round": str(trained.rounds)}, trained, trials)


def _ask(
    search: Search, higher_is_better: bool, parameters: dict[str, str], attempt: Callable[[dict[str, str]], float]
) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize" if higher_is_better else "minimize", sampler=optuna.samplers.TPESampler(seed=search.seed)
    )

    def objective(trial: optuna.Trial) -> float:
        return attempt({**parameters, **{name: _suggest(trial, name, r) for name, r in search.ranges.items()}})

    study.optimize(objective, n_trials=search.trials, timeout=search.timeout_s)


def _suggest(trial: Any, name: str, wanted: SearchRange) -> str:
    if wanted.choices:
        return str(trial.suggest_categorical(name, list(wanted.choices)))
    assert wanted.low is not None  # noqa: S101 - a range has both ends, or choices
    assert wanted.high is not None  # noqa: S101
    if name in INTEGERS:
        return str(trial.suggest_int(name, int(wanted.low), int(wanted.high), log=wanted.log))
    return repr(trial.suggest_float(name, wanted.low, wanted.high, log=wanted.log))


def _typed(name: str, value: str) -> int | float | str:
    try:
        return int(value) if name in INTEGERS else float(value) if name in REALS else value
    except ValueError as error:
        kind = "a whole number" if name in INTEGERS else "a number"
        raise SpecError(f"Hyperparameter '{name}': expected {kind}, found '{value}'.") from error
