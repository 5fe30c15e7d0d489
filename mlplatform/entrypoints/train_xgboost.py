"""Entrypoint of `containers/xgboost`: channels of rows in, a model package out.

Channels: ``train``, ``validation``, ``test`` (Parquet) and ``spec`` (`plan.json`). Hyperparameters are XGBoost's.
The search trains on *train* and is judged on *validation*. The model itself is then trained on both, with what the
search chose, since the newest rows say most about the days to come; transforms and baseline are fitted on the same rows.
*test* is held out: nothing is chosen by it. It says the package's metrics, and whether ONNX and XGBoost agree.

On several hosts each reads its share of the rows, and all together train what one would; the first writes the package.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.core.features.fitted import FittedField
from mlplatform.core.packages.manifest import Runtime
from mlplatform.core.packages.writer import MODEL_FILES
from mlplatform.core.training.hosts import Hosts, total
from mlplatform.core.training.metrics import measure_all
from mlplatform.core.training.plan import FILE, TrainingPlan
from mlplatform.entrypoints.contract import Job, run_job
from mlplatform.entrypoints.package_files import facts_of, read_channels, seal, write_held_out
from mlplatform.entrypoints.pulled import check_complete, is_pulled
from mlplatform.entrypoints.xgboost_checkpoints import Progress
from mlplatform.entrypoints.xgboost_hosts import joined
from mlplatform.entrypoints.xgboost_rows import Rows, encode_rows, find_classes, fit_rows
from mlplatform.entrypoints.xgboost_search import Chosen, check_parameters, predict, search, train, wanted
from mlplatform.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

CHECKPOINT_S = 30.0
"""Seconds between two checkpoints: a short job makes none."""


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:  # noqa: ARG001 - the contract passes no arguments
    """Train one model; the exit code is that of the error, see `mlplatform.errors.EXIT_CODES`."""
    return run_job(_train, env)


def _train(job: Job) -> None:
    plan = TrainingPlan.from_json(job.document("spec", FILE))
    parameters = check_parameters(job.hyperparameters, plan.task)
    if len(job.machines.names) > 1 and "nthread" not in job.hyperparameters:
        # Hosts wait for each other at every split: more threads than processors would wait for themselves.
        parameters["nthread"] = str(min(int(parameters["nthread"]), job.machines.cpus))
    tables = read_channels(job)
    for name, table in tables.items():
        _log(f"{name}: {table.num_rows} rows")
    with joined(job, _log) as hosts:
        made = _fit(job, plan, parameters, tables, hosts)
        facts = facts_of(plan, tables, hosts)
    if hosts.rank:
        write_held_out(job.data_dir, tables["test"], made.predicted, made.classes, without=plan.personal)
        return
    for name, value in made.metrics.items():
        _log(f"[{len(made.chosen.trials)}] test:{name}: {value:.6g}")
    job.model_dir.mkdir(parents=True, exist_ok=True)
    runtime, difference = _write_model(made, job.model_dir)
    _log(f"runtime {runtime}")
    manifest = seal(
        job,
        plan,
        tables,
        runtime=runtime,
        fitted=made.fitted,
        classes=made.classes,
        predicted=made.predicted,
        metrics=made.metrics,
        parameters=made.chosen.parameters,
        evaluation={
            "validation": made.chosen.trained.metrics,
            "trials": made.chosen.trials,
            "onnx_difference": difference if math.isfinite(difference) else None,
        },
        facts=facts,
    )
    _log(f"package {manifest.digest}")


@dataclass(frozen=True)
class _Made:
    """The model, what it was made with, and what it says of this host's held-out rows; `metrics` are of all hosts'."""

    booster: Any
    chosen: Chosen
    fitted: tuple[FittedField, ...]
    classes: tuple[str, ...]
    held_out: Rows
    predicted: Any
    metrics: dict[str, float]


def _fit(
    job: Job, plan: TrainingPlan, parameters: dict[str, str], tables: Mapping[str, pa.Table], hosts: Hosts
) -> _Made:
    """Search, train and measure: the same on every host, each with its share of the rows."""
    import pyarrow as pa

    _check_shares(job, tables, hosts)
    progress = Progress(job.checkpoint_dir, float(parameters.get("checkpoint_s", CHECKPOINT_S)), hosts, _log)
    classes = find_classes(plan.task, list(tables.values()), plan.target, hosts)
    fitted, encoder = fit_rows(plan.inputs, tables["train"], hosts)
    rows, validation = (
        encode_rows(encoder, fitted, tables[name], plan.target, classes) for name in ("train", "validation")
    )
    say = _log if hosts.rank == 0 else _say_nothing
    asked = wanted(plan.search, job.hyperparameters)
    chosen = search(plan, asked, parameters, len(classes), rows, validation, say, hosts=hosts, progress=progress)
    del rows, validation  # A host's memory is what bounds its share.

    both = pa.concat_tables([tables["train"], tables["validation"]])
    fitted, encoder = fit_rows(plan.inputs, both, hosts)
    final = encode_rows(encoder, fitted, both, plan.target, classes)
    held_out = encode_rows(encoder, fitted, tables["test"], plan.target, classes)
    booster, _ = train(
        chosen.parameters,
        plan.task,
        len(classes),
        final,
        rounds=int(chosen.parameters["num_round"]),
        progress=progress,
    )
    predicted = predict(booster, held_out.matrix, plan.task)
    metrics = measure_all(plan.task, held_out.labels, predicted, hosts)
    return _Made(booster, chosen, fitted, classes, held_out, predicted, metrics)


def _check_shares(job: Job, tables: Mapping[str, pa.Table], hosts: Hosts) -> None:
    """Every host needs a row of each channel, since XGBoost makes no matrix of none; and together they have them all."""
    if hosts.count == 1:
        return
    for name, table in tables.items():
        if is_pulled(job, name):
            check_complete(job, name, total(hosts, table.num_rows))
        empty = [int(n) == 0 for n in hosts.gather(str(table.num_rows).encode())]
        if any(empty):
            host = job.machines.names[empty.index(True)]
            raise DataError(
                f"Channel '{name}' has no row for host {host} of {hosts.count}.",
                next_step="Set fewer hosts, or give more rows.",
            )


def _write_model(made: _Made, directory: Path) -> tuple[Runtime, float]:
    """Write both forms, and say which serves: ONNX if it answers as XGBoost does, also for categories never seen."""
    import numpy as np

    from mlplatform.core.packages.conversion import TOLERANCE, onnx_difference, write_onnx

    booster, held_out = made.booster, made.held_out
    booster.save_model(directory / MODEL_FILES["xgboost"])
    path = directory / MODEL_FILES["onnx"]
    try:
        write_onnx(booster, path, inputs=held_out.matrix.shape[1])
    except Exception as error:  # noqa: BLE001 - the converter's errors share no base; any of them means: it does not convert
        _log(f"no ONNX for this model: {error!r}")
        return "xgboost", math.inf
    sample = held_out.matrix[:50_000]
    unseen = sample[:1000].copy()
    columns = [field.categories is not None for field in made.fitted for _ in field.columns]
    for place, is_category in enumerate(columns):
        if is_category and len(unseen):
            unseen[:, place] = np.nanmax(np.append(held_out.matrix[:, place], 0)) + 1
    probe = np.concatenate([sample, unseen])
    expected = np.asarray(booster.inplace_predict(probe, validate_features=False), dtype=np.float64)
    difference = onnx_difference(path, probe, expected)
    _log(f"ONNX differs from XGBoost by {difference:.3g} (relative) on held-out rows; accepted is {TOLERANCE:g}")
    if difference <= TOLERANCE:
        return "onnx", difference
    path.unlink()
    return "xgboost", difference


def _say_nothing(line: str) -> None:
    """What all hosts would say alike, the first one says."""


def _log(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
