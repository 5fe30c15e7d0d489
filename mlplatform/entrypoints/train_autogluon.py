"""Entrypoint of `containers/autogluon`: channels of rows in, a model package out that a process of its own serves.

AutoGluon fits several kinds of models and their weighted ensemble. Without folds it chooses by the *validation* rows, and
the model it chose is then fitted on *train* and *validation* together, as `containers/xgboost` does; with folds it fits
and chooses on both. *test* is held out: nothing is chosen by it, and it says the package's metrics. Only what the best
model needs is kept.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.core.packages.writer import MODEL_FILES
from mlplatform.core.training.metrics import measure_all
from mlplatform.core.training.plan import FILE, TrainingPlan
from mlplatform.entrypoints import score_autogluon
from mlplatform.entrypoints.autogluon_frame import frame_of
from mlplatform.entrypoints.autogluon_leaderboard import leaderboard, write_leaderboard
from mlplatform.entrypoints.autogluon_settings import METRICS, PROBLEM_TYPES, Settings, read_settings
from mlplatform.entrypoints.contract import Job, run_job
from mlplatform.entrypoints.package_files import read_channels, seal
from mlplatform.entrypoints.score_autogluon import PREDICTOR, scores_of
from mlplatform.entrypoints.xgboost_rows import Rows, encode_rows, find_classes, fit_rows
from mlplatform.errors import NotFoundError

if TYPE_CHECKING:
    import pandas as pd

LOCK = "requirements.lock"
LABEL = "_target"


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:  # noqa: ARG001 - the contract passes no arguments
    """Train one model; the exit code is that of the error, see `mlplatform.errors.EXIT_CODES`."""
    return run_job(lambda job: _train(job, env), env)


def _train(job: Job, env: Mapping[str, str]) -> None:
    import pyarrow as pa

    plan = TrainingPlan.from_json(job.document("spec", FILE))
    settings = read_settings(job.hyperparameters, plan, torch=find_spec("torch") is not None)
    lock = _lock(env)
    tables = read_channels(job)
    for name, table in tables.items():
        _log(f"{name}: {table.num_rows} rows")
    classes = find_classes(plan.task, list(tables.values()), plan.target)

    both = pa.concat_tables([tables["train"], tables["validation"]])
    fitted, encoder = fit_rows(plan.inputs, both)
    rows = {name: encode_rows(encoder, fitted, table, plan.target, classes) for name, table in tables.items()}
    frames = {name: _labelled(found, fitted, classes) for name, found in rows.items()}
    began = time.monotonic()
    job.model_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="autogluon-") as folder:
        predictor = _fit(plan, settings, frames, Path(folder) / "fitted")
        fit_s = time.monotonic() - began
        _log(f"fitted in {fit_s:.1f} s; best model: {predictor.model_best}")
        board = leaderboard(predictor, frames["test"], higher_is_better=plan.higher_is_better)
        predicted = scores_of(predictor, rows["test"].matrix, fitted, classes=len(classes) or None)
        validation = _validation(predictor, plan, settings, rows["validation"], fitted, len(classes), board)
        _pack(predictor, Path(folder) / "best", job.model_dir / PREDICTOR)
    metrics = measure_all(plan.task, rows["test"].labels, predicted)
    for name, value in validation.items():
        _log(f"[0] validation:{name}: {value:.6g}")
    for name, value in metrics.items():
        _log(f"[0] test:{name}: {value:.6g}")

    shutil.copyfile(Path(score_autogluon.__file__), job.model_dir / MODEL_FILES["process"])
    shutil.copyfile(lock, job.model_dir / LOCK)
    write_leaderboard(job.model_dir, board)
    manifest = seal(
        job,
        plan,
        tables,
        runtime="process",
        fitted=fitted,
        classes=classes,
        predicted=predicted,
        metrics=metrics,
        parameters={**settings.parameters, "best_model": predictor.model_best},
        evaluation={
            "validation": validation,
            "fit_s": round(fit_s, 2),
            "best_model": predictor.model_best,
            "leaderboard": board,
        },
    )
    _log(f"package {manifest.digest}")


def _fit(plan: TrainingPlan, settings: Settings, frames: Mapping[str, pd.DataFrame], folder: Path) -> Any:
    import pandas as pd

    tabular: Any = import_module("autogluon.tabular")
    logging.getLogger("autogluon.common.utils.resource_utils").setLevel(logging.CRITICAL)  # it looks for GPUs
    predictor = tabular.TabularPredictor(
        label=LABEL,
        problem_type=PROBLEM_TYPES[plan.task],
        eval_metric=METRICS[plan.task][plan.metric],
        path=str(folder),
        verbosity=2,
        log_to_file=False,
    )
    if settings.bagged:
        return predictor.fit(
            train_data=pd.concat([frames["train"], frames["validation"]], ignore_index=True),
            calibrate_decision_threshold=False,
            **settings.fit,
        )
    return predictor.fit(
        train_data=frames["train"],
        tuning_data=frames["validation"],
        refit_full="best",
        set_best_to_refit_full=True,
        calibrate_decision_threshold=False,
        **settings.fit,
    )


def _validation(
    predictor: Any,
    plan: TrainingPlan,
    settings: Settings,
    rows: Rows,
    fitted: Any,
    classes: int,
    board: Sequence[Mapping[str, Any]],
) -> dict[str, float]:
    """Of the model that was chosen, as it was when it was chosen."""
    chosen = {refitted: first for first, refitted in predictor.model_refit_map().items()}
    name = chosen.get(predictor.model_best, predictor.model_best)
    if settings.bagged:
        score = next((row["score_val"] for row in board if row["model"] == name), None)
        return {} if score is None else {plan.metric: float(score)}
    predicted = scores_of(predictor, rows.matrix, fitted, classes=classes or None, model=name)
    return measure_all(plan.task, rows.labels, predicted)


def _labelled(rows: Rows, fitted: Any, classes: Sequence[str]) -> pd.DataFrame:
    frame = frame_of(rows.matrix, fitted)
    frame[LABEL] = rows.labels.astype(int) if classes else rows.labels
    return frame


def _pack(predictor: Any, folder: Path, target: Path) -> None:
    """Keep what the best model needs, as one file."""
    logging.disable(logging.INFO)  # else it names each model that it leaves behind
    predictor.clone_for_deployment(str(folder), model="best")
    logging.disable(logging.NOTSET)
    with tarfile.open(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False)


def _lock(env: Mapping[str, str]) -> Path:
    path = Path(env.get("MLPLATFORM_LOCK", ""))
    if not path.is_file():
        raise NotFoundError(
            f"Environment variable MLPLATFORM_LOCK names no file ('{env.get('MLPLATFORM_LOCK', '')}'); expected the "
            f"{LOCK} of the environment that this runs in."
        )
    return path


def _log(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
