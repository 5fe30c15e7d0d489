"""Entrypoint of `containers/xgboost`: channels of rows in, a model package out.

Channels: ``train``, ``validation``, ``test`` (Parquet) and ``spec`` (`plan.json`). Hyperparameters are XGBoost's.
The search trains on *train* and is judged on *validation*. The model itself is then trained on both, with what the
search chose, since the newest rows say most about the days to come; transforms and baseline are fitted on the same rows.
*test* is held out: nothing is chosen by it. It says the package's metrics, and whether ONNX and XGBoost agree.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplatform.core.packages.manifest import Runtime
from mlplatform.core.packages.writer import MODEL_FILES
from mlplatform.core.training.metrics import measure_all
from mlplatform.core.training.plan import FILE, TrainingPlan
from mlplatform.entrypoints.contract import Job, run_job
from mlplatform.entrypoints.package_files import read_channels, seal
from mlplatform.entrypoints.xgboost_rows import Rows, encode_rows, find_classes, fit_rows
from mlplatform.entrypoints.xgboost_search import check_parameters, predict, search, train


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:  # noqa: ARG001 - the contract passes no arguments
    """Train one model; the exit code is that of the error, see `mlplatform.errors.EXIT_CODES`."""
    return run_job(_train, env)


def _train(job: Job) -> None:
    import pyarrow as pa

    plan = TrainingPlan.from_json(job.document("spec", FILE))
    parameters = check_parameters(job.hyperparameters, plan.task)
    tables = read_channels(job)
    log = _log
    for name, table in tables.items():
        log(f"{name}: {table.num_rows} rows")
    classes = find_classes(plan.task, list(tables.values()), plan.target)

    fitted, encoder = fit_rows(plan.inputs, tables["train"])
    rows, validation = (
        encode_rows(encoder, fitted, tables[name], plan.target, classes) for name in ("train", "validation")
    )
    chosen = search(plan, parameters, len(classes), rows, validation, log)

    both = pa.concat_tables([tables["train"], tables["validation"]])
    fitted, encoder = fit_rows(plan.inputs, both)
    final = encode_rows(encoder, fitted, both, plan.target, classes)
    held_out = encode_rows(encoder, fitted, tables["test"], plan.target, classes)
    booster = train(chosen.parameters, plan.task, len(classes), final, rounds=int(chosen.parameters["num_round"]))
    predicted = predict(booster, held_out.matrix, plan.task)
    metrics = measure_all(plan.task, held_out.labels, predicted)
    for name, value in metrics.items():
        log(f"[{len(chosen.trials)}] test:{name}: {value:.6g}")

    job.model_dir.mkdir(parents=True, exist_ok=True)
    runtime, difference = _write_model(booster, job.model_dir, held_out, plan)
    log(f"runtime {runtime}")
    manifest = seal(
        job,
        plan,
        tables,
        runtime=runtime,
        fitted=fitted,
        classes=classes,
        predicted=predicted,
        metrics=metrics,
        parameters=chosen.parameters,
        evaluation={
            "validation": measure_all(
                plan.task, validation.labels, predict(chosen.trained.booster, validation.matrix, plan.task)
            ),
            "trials": chosen.trials,
            "onnx_difference": difference if math.isfinite(difference) else None,
        },
    )
    log(f"package {manifest.digest}")


def _write_model(booster: Any, directory: Path, held_out: Rows, plan: TrainingPlan) -> tuple[Runtime, float]:
    """Write both forms, and say which serves: ONNX if it answers as XGBoost does, also for categories never seen."""
    import numpy as np

    from mlplatform.core.packages.conversion import TOLERANCE, onnx_difference, write_onnx

    booster.save_model(directory / MODEL_FILES["xgboost"])
    path = directory / MODEL_FILES["onnx"]
    try:
        write_onnx(booster, path, inputs=len(plan.inputs))
    except Exception as error:  # noqa: BLE001 - the converter's errors share no base; any of them means: it does not convert
        _log(f"no ONNX for this model: {error!r}")
        return "xgboost", math.inf
    sample = held_out.matrix[:50_000]
    unseen = sample[:1000].copy()
    for place, field in enumerate(plan.inputs):
        if field.type == "varchar" and len(unseen):
            unseen[:, place] = np.nanmax(np.append(held_out.matrix[:, place], 0)) + 1
    probe = np.concatenate([sample, unseen])
    expected = np.asarray(booster.inplace_predict(probe, validate_features=False), dtype=np.float64)
    difference = onnx_difference(path, probe, expected)
    _log(f"ONNX differs from XGBoost by {difference:.3g} (relative) on held-out rows; accepted is {TOLERANCE:g}")
    if difference <= TOLERANCE:
        return "onnx", difference
    path.unlink()
    return "xgboost", difference


def _log(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
