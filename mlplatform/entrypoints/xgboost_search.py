"""Boosting under given hyperparameters, and a small Optuna search over them on the validation rows.

On several hosts each does the same at the same time: values are those of all rows, and the first one's clock counts.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlplatform.core.packages.manifest import Task
from mlplatform.core.training.hosts import ALONE, Hosts, total
from mlplatform.core.training.metrics import measure, measure_all
from mlplatform.core.training.plan import Search, SearchRange, TrainingPlan
from mlplatform.entrypoints.xgboost_checkpoints import Best, Progress
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
RANGES = {"eta": SearchRange(0.03, 0.3, log=True), "max_depth": SearchRange(3, 8)}
"""What a search without ranges of its own tries: what matters most on any table."""
OWN = Search(trials=6)
"""The search of a plan that leaves it to the container."""
INTEGERS = frozenset(
    {"num_round", "max_depth", "nthread", "seed", "early_stopping_rounds", "max_bin", "max_leaves", "max_cat_to_onehot"}
)
REALS = frozenset(
    {"eta", "gamma", "min_child_weight", "max_delta_step", "subsample", "colsample_bytree", "colsample_bylevel",
     "colsample_bynode", "lambda", "alpha", "scale_pos_weight", "checkpoint_s"}
)  # fmt: skip
TEXTS = frozenset({"objective", "tree_method", "grow_policy", "booster"})
_OURS = frozenset({"num_round", "early_stopping_rounds", "checkpoint_s"})
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
    """What a trial came to: its rounds, the search's metric on the validation rows, and all metrics."""

    rounds: int
    value: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class Chosen:
    """What the search chose: hyperparameters with the rounds that were best, what they came to, and all trials."""

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
    parameters: dict[str, str],
    task: Task,
    classes: int,
    rows: Rows,
    *,
    rounds: int | None = None,
    validation: Any = None,
    progress: Progress | None = None,
) -> tuple[Any, int]:
    """A booster, and how many of its rounds to keep.

    With `validation` (a DMatrix) boosting stops when that no longer improves, and those up to its best are kept.
    """
    import xgboost

    settings = {name: _typed(name, value) for name, value in parameters.items() if name not in _OURS}
    settings.setdefault("objective", _OBJECTIVES[task][0])
    settings.setdefault("verbosity", 1)
    if task == "multiclass":
        settings["num_class"] = classes
    patience = int(parameters["early_stopping_rounds"]) if validation is not None else 0
    progress = progress or Progress()
    model, best = progress.begun(parameters)
    matrix = rows.dmatrix(int(parameters["nthread"]))
    cached = [matrix, validation] if patience else [matrix]
    booster = xgboost.Booster(settings, cached, None if model is None else bytearray(model))
    for place in range(booster.num_boosted_rounds(), int(parameters["num_round"]) if rounds is None else rounds):
        booster.update(matrix, place)
        if patience:
            value = float(booster.eval_set([(validation, "validation")], place).rpartition(":")[2])
            # Every objective's own measure is one of what is lost.
            best = Best(value, place) if best is None or value < best.value else best
            if place - best.round >= patience:
                break
        progress.note(booster, parameters, best)
    booster.reset()
    return booster, booster.num_boosted_rounds() if best is None else best.round + 1


def predict(booster: Any, matrix: npt.NDArray[np.float32], task: Task) -> npt.NDArray[np.float64]:
    """Predictions as metrics take them: n, or n × classes."""
    import numpy as np

    values = np.asarray(booster.inplace_predict(matrix, validate_features=False), dtype=np.float64)
    return np.column_stack([1 - values, values]) if task == "binary" else values


def wanted(search: Search | None, given: Collection[str]) -> Search:
    """What is searched: as planned, in the container's own ranges where the plan has none.

    Left to the container it searches only hyperparameters that are not `given`, and none where all it would try are.
    """
    if search is not None:
        return replace(search, ranges=search.ranges or RANGES)
    ranges = {name: values for name, values in RANGES.items() if name not in given}
    return replace(OWN, trials=OWN.trials if ranges else 0, ranges=ranges)


def search(
    plan: TrainingPlan,
    asked: Search,
    parameters: dict[str, str],
    classes: int,
    rows: Rows,
    validation: Rows,
    log: Callable[[str], None],
    *,
    hosts: Hosts = ALONE,
    progress: Progress | None = None,
) -> Chosen:
    """The best of the given hyperparameters and `asked.trials` others, by the plan's metric on `validation`.

    The given ones are always the first trial, so that a search never ends with something worse on these rows.
    """
    matrix = validation.dmatrix(int(parameters["nthread"]))
    kept = progress or Progress()
    done: list[tuple[dict[str, str], Trained]] = []

    def tried(given: dict[str, str]) -> dict[str, Any]:
        booster, rounds = train(given, plan.task, classes, rows, validation=matrix, progress=kept)
        built = booster.num_boosted_rounds()
        predicted = predict(booster if rounds == built else booster[:rounds], validation.matrix, plan.task)
        value = measure(plan.metric, validation.labels, predicted, hosts)
        metrics = measure_all(plan.task, validation.labels, predicted, hosts)
        return {"parameters": given, "rounds": rounds, "built": built, "value": value, "metrics": metrics}

    def attempt(given: dict[str, str]) -> float:
        found = kept.finished(given) or tried(given)
        kept.finish(found)
        done.append((given, Trained(found["rounds"], found["value"], found["metrics"])))
        log(f"[{len(done) - 1}] validation:{plan.metric}: {found['value']:.6g}")
        return float(found["value"])

    attempt(parameters)
    if asked.trials:
        _ask(asked, plan.higher_is_better, parameters, attempt, hosts)
    sign = 1 if plan.higher_is_better else -1
    best, trained = max(done, key=lambda d: sign * d[1].value if d[1].value == d[1].value else -float("inf"))
    trials = tuple({"parameters": p, "rounds": t.rounds, plan.metric: t.value} for p, t in done)
    return Chosen({**best, "num_round": str(trained.rounds)}, trained, trials)


def _ask(
    search: Search,
    higher_is_better: bool,
    parameters: dict[str, str],
    attempt: Callable[[dict[str, str]], float],
    hosts: Hosts,
) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize" if higher_is_better else "minimize", sampler=optuna.samplers.TPESampler(seed=search.seed)
    )

    def objective(trial: optuna.Trial) -> float:
        return attempt({**parameters, **{name: _suggest(trial, name, r) for name, r in search.ranges.items()}})

    end = time.monotonic() + search.timeout_s
    for _ in range(search.trials):
        if total(hosts, hosts.rank == 0 and time.monotonic() > end):
            break
        study.optimize(objective, n_trials=1)


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
