"""Files of a model package that are the same whatever trained the model: how its rows were split, and their profile.

The gate asks the first which rows the model cannot have seen; monitors compare later rows with the second.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.core.training.plan import TrainingPlan
from mlplatform.entrypoints.contract import Job

if TYPE_CHECKING:
    import pyarrow as pa

SPLIT, BASELINE = "split.json", "baseline.json"


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
    fields = [Field(field.name, "category" if field.type == "varchar" else "numeric") for field in plan.inputs]
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


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """The same content always gives the same bytes."""
    path.write_text(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False), "utf-8")
