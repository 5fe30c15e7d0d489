"""Files of a job that are the same whatever trains the model: its rows, and what becomes of them in its package.

The gate asks how they were split, to know which rows the model cannot have seen; monitors compare later rows with their
profile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.core.features.fitted import FittedField, write_transforms
from mlplatform.core.packages.manifest import Manifest, Runtime, Signature
from mlplatform.core.packages.writer import seal_package
from mlplatform.core.training.plan import TrainingPlan
from mlplatform.entrypoints.contract import Job

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

CHANNELS = ("train", "validation", "test")
FITTED_ON = ("train", "validation")
SPLIT, BASELINE, EVALUATION = "split.json", "baseline.json", "evaluation.json"


def read_channels(job: Job) -> dict[str, pa.Table]:
    """The rows of each channel."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return {
        name: pa.concat_tables([pq.read_table(path, partitioning=None) for path in job.parquet(name)])
        for name in CHANNELS
    }


def seal(
    job: Job,
    plan: TrainingPlan,
    tables: Mapping[str, pa.Table],
    *,
    runtime: Runtime,
    fitted: Sequence[FittedField],
    classes: Sequence[str],
    predicted: npt.NDArray[np.float64],
    metrics: Mapping[str, float],
    parameters: Mapping[str, str] | None = None,
    evaluation: Mapping[str, Any] | None = None,
) -> Manifest:
    """Write what every package holds beside its model, seal it, and leave the held-out rows with what was predicted.

    The model's own files lie in `job.model_dir` already. It was fitted on *train* and *validation*; `predicted` and
    `metrics` are those of *test*: a value a row, or a probability a class in the order of `classes`. `evaluation` joins
    what `evaluation.json` says.

    Raises:
        StateError: the file that the runtime loads is not there, or there are folders.
    """
    import pyarrow as pa

    write_transforms(job.model_dir, fitted)
    write_split(job, plan, pa.concat_tables([tables[name] for name in FITTED_ON]))
    write_baseline(job, plan, FITTED_ON)
    shown = {
        "metric": plan.metric,
        "trained_on": " and ".join(FITTED_ON),
        "rows": {name: table.num_rows for name, table in tables.items()},
        "held_out": dict(metrics),
    }
    write_json(job.model_dir / EVALUATION, {**shown, **(evaluation or {})}, sort=False)
    manifest = seal_package(
        job.model_dir,
        model=plan.model,
        signature=Signature(plan.inputs, plan.task, plan.target, tuple(classes)),
        runtime=runtime,
        snapshot=plan.snapshot,
        training_job=job.name,
        code_version=plan.code_version,
        trained_to=greatest(tables.values(), plan.window_column),
        parameters=dict(parameters or {}),
        metrics=dict(metrics),
    )
    write_held_out(job.data_dir, tables["test"], predicted, classes, without=plan.personal)
    return manifest


def write_split(job: Job, plan: TrainingPlan, fitted_on: pa.Table) -> None:
    """Write `split.json`: the rule, and up to where the rows went that the model itself was trained on."""
    reach = {"column": plan.window_column, "fitted_to": greatest([fitted_on], plan.window_column)}
    write_json(job.model_dir / SPLIT, {"split": plan.split, **reach})


def write_baseline(job: Job, plan: TrainingPlan, channels: Iterable[str]) -> None:
    """Write `baseline.json`: the profile of the rows the model was trained on."""
    import duckdb

    from mlplatform.core.drift.profile import Field
    from mlplatform.core.drift.profile_sql import take_baseline
    from mlplatform.core.sql import literal

    files = [path for channel in channels for path in job.parquet(channel)]
    relation = f"read_parquet([{', '.join(literal(str(path)) for path in files)}])"
    fields = [
        Field(field.name, "category" if field.type == "varchar" else "numeric", field.personal) for field in plan.inputs
    ]
    # One thread: sums of parts in another order differ in their last digit, and so would the package's digest.
    with duckdb.connect(config={"threads": 1}) as connection:
        profile = take_baseline(lambda sql: connection.execute(sql).to_arrow_table(), relation, fields)
    write_json(job.model_dir / BASELINE, profile.to_json())


def greatest(tables: Iterable[pa.Table], column: str | None) -> str | None:
    """The greatest value of the window's column, as text: a package's `trained_to`. None without a window."""
    import pyarrow.compute as pc

    if column is None:
        return None
    values = [pc.max(table.column(column)).as_py() for table in tables]
    present = [value for value in values if value is not None]
    return str(max(present)) if present else None


def write_json(path: Path, content: Mapping[str, Any], *, sort: bool = True) -> None:
    """The same content always gives the same bytes; without `sort` names stay in their order, as a table's columns do."""
    path.write_text(json.dumps(content, sort_keys=sort, separators=(",", ":"), ensure_ascii=False), "utf-8")


def write_held_out(
    directory: Path,
    table: pa.Table,
    predicted: npt.NDArray[np.float64],
    classes: Sequence[str],
    *,
    without: Sequence[str] = (),
) -> None:
    """`held_out.parquet`: the held-out rows with `_prediction`, or `_probability_<class>` for each class.

    Personal columns are left out (`without`): what a job leaves is kept as long as its model, and no erasure reaches it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    directory.mkdir(parents=True, exist_ok=True)
    table = table.drop_columns([name for name in without if name in table.column_names])
    columns = {f"_probability_{name}": predicted[:, i] for i, name in enumerate(classes)} or {"_prediction": predicted}
    for name, values in columns.items():
        table = table.append_column(name, pa.chunked_array([values]))
    pq.write_table(table, directory / "held_out.parquet")
