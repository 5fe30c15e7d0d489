"""Files of a job that are the same whatever trains the model: its rows, and what becomes of them in its package.

The gate asks how they were split, to know which rows the model cannot have seen; monitors compare later rows with their
profile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.core.training.plan import TrainingPlan
from mlplatform.entrypoints.contract import Job

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

CHANNELS = ("train", "validation", "test")
SPLIT, BASELINE = "split.json", "baseline.json"


def read_channels(job: Job) -> dict[str, pa.Table]:
    """The rows of each channel."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return {
        name: pa.concat_tables([pq.read_table(path, partitioning=None) for path in job.parquet(name)])
        for name in CHANNELS
    }


def write_split(job: Job, plan: TrainingPlan, fitted_on: pa.Table) -> None:
    """Write `split.json`: the rule, and up to where the rows went that the model itself was trained on."""
    reach = {"column": plan.window_column, "fitted_to": greatest([fitted_on], plan.window_column)}
    write_json(job.model_dir / SPLIT, {"split": plan.split, **reach})


def write_baseline(job: Job, plan: TrainingPlan, channels: Iterable[str] = ("train", "validation")) -> None:
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
