"""Files of a job that are the same whatever trains the model: its rows, and what becomes of them in its package.

The gate asks how they were split, to know which rows the model cannot have seen; monitors compare later rows with their
profile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.core.features.fitted import FittedField, write_transforms
from mlplatform.core.packages.manifest import Manifest, Runtime, Signature
from mlplatform.core.packages.writer import seal_package
from mlplatform.core.training.hosts import ALONE, Hosts, total
from mlplatform.core.training.hosts import tables as of_hosts
from mlplatform.core.training.plan import TrainingPlan
from mlplatform.entrypoints.contract import Job
from mlplatform.entrypoints.pulled import is_pulled, profile_of, rows_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from mlplatform.core.drift.profile import Kind
    from mlplatform.core.packages.manifest import InputField

CHANNELS = ("train", "validation", "test")
FITTED_ON = ("train", "validation")
SPLIT, BASELINE, EVALUATION = "split.json", "baseline.json", "evaluation.json"


@dataclass(frozen=True)
class RowFacts:
    """What a package tells of the rows behind it: how many by channel, and up to where they went, all and those fitted on."""

    rows: dict[str, int]
    trained_to: str | None
    fitted_to: str | None


def read_channels(job: Job) -> dict[str, pa.Table]:
    """The rows of each channel, from files or out of a warehouse; on several hosts, each has its share."""
    if is_pulled(job, CHANNELS[0]):
        return rows_of(job, CHANNELS)
    return {name: _read(job.parquet(name), job.machines.rank, len(job.machines.names)) for name in CHANNELS}


def _read(files: Sequence[Path], rank: int, hosts: int) -> pa.Table:
    """All rows of the files, or of several hosts' every so manieth: as many for each, and no host holds more."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    if hosts == 1:
        return pa.concat_tables([pq.read_table(path, partitioning=None) for path in files])
    shares, before = [], 0
    for path in files:
        with pq.ParquetFile(path) as file:
            shares.append(file.schema_arrow.empty_table())
            for batch in file.iter_batches():
                share = np.arange((rank - before) % hosts, batch.num_rows, hosts)
                shares.append(pa.Table.from_batches([batch.take(share)]))
                before += batch.num_rows
    return pa.concat_tables(shares)


def facts_of(plan: TrainingPlan, tables: Mapping[str, pa.Table], hosts: Hosts = ALONE) -> RowFacts:
    """Over all hosts' rows, of which `tables` holds this one's."""
    return RowFacts(
        {name: total(hosts, table.num_rows) for name, table in tables.items()},
        greatest(tables.values(), plan.window_column, hosts),
        greatest([tables[name] for name in FITTED_ON], plan.window_column, hosts),
    )


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
    facts: RowFacts | None = None,
) -> Manifest:
    """Write what every package holds beside its model, seal it, and leave the held-out rows with what was predicted.

    The model's own files lie in `job.model_dir` already. It was fitted on *train* and *validation*; `predicted` and
    `metrics` are those of *test*: a value a row, or a probability a class in the order of `classes`. `evaluation` joins
    what `evaluation.json` says. `facts`: of all hosts' rows, where `tables` are one host's.

    Raises:
        StateError: the file that the runtime loads is not there, or there are folders.
    """
    told = facts or facts_of(plan, tables)
    write_transforms(job.model_dir, fitted)
    reach = {"column": plan.window_column, "fitted_to": told.fitted_to}
    write_json(job.model_dir / SPLIT, {"split": plan.split, **reach})
    write_baseline(job, plan)
    shown = {
        "metric": plan.metric,
        "trained_on": " and ".join(FITTED_ON),
        "rows": told.rows,
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
        trained_to=told.trained_to,
        parameters=dict(parameters or {}),
        metrics=dict(metrics),
    )
    write_held_out(job.data_dir, tables["test"], predicted, classes, without=plan.personal)
    return manifest


def write_baseline(job: Job, plan: TrainingPlan) -> None:
    """Write `baseline.json`: the profile of the rows the model was trained on."""
    from mlplatform.core.drift.profile import Field
    from mlplatform.core.drift.profile_sql import take_baseline
    from mlplatform.core.sql import literal

    fields = [Field(field.name, _kind(field), field.personal) for field in plan.inputs]
    if is_pulled(job, FITTED_ON[0]):
        found = profile_of(job, FITTED_ON, [asdict(field) for field in fields])
        return write_json(job.model_dir / BASELINE, found)
    files = [path for channel in FITTED_ON for path in job.parquet(channel)]
    relation = f"read_parquet([{', '.join(literal(str(path)) for path in files)}])"
    import duckdb

    # One thread: sums of parts in another order differ in their last digit, and so would the package's digest.
    with duckdb.connect(config={"threads": 1}) as connection:
        profile = take_baseline(lambda sql: connection.execute(sql).to_arrow_table(), relation, fields)
    return write_json(job.model_dir / BASELINE, profile.to_json())


def _kind(field: InputField) -> Kind:
    if field.is_text:
        return "text"
    return "category" if field.type == "varchar" else "numeric"


def greatest(tables: Iterable[pa.Table], column: str | None, hosts: Hosts = ALONE) -> str | None:
    """The greatest value of the window's column over all hosts, as text: a package's `trained_to`. None without a window."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column is None:
        return None
    columns = [table.column(column) for table in tables]
    own = pa.chunked_array([chunk for values in columns for chunk in values.chunks], columns[0].type)
    found = pa.table({"value": pa.array([pc.max(own).as_py()], own.type)})
    value = pc.max(pa.concat_tables(of_hosts(hosts, found)).column("value")).as_py()
    return None if value is None else str(value)


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
    """`held_out.parquet`: the held-out rows with `_prediction`, or `_probability_<class>` for each class. Each host leaves its own.

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
