"""An object staged on this machine for a bulk load: rows that fit, each key once, and records that do not, as Parquet files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from mlplatform.adapters.warehouse.staging.draft import draft
from mlplatform.adapters.warehouse.staging.job import Job, copy_parquet
from mlplatform.adapters.warehouse.staging.source import fetch
from mlplatform.core.loads.plan import LoadPlan, Receipt
from mlplatform.core.sql import identifier, literal
from mlplatform.core.tables.schema import PROVENANCE, TableSchema
from mlplatform.ports.object_store import ObjectStore


@dataclass(frozen=True)
class Files:
    """The receipt unless rows turn out to be in the table already, and the files to bring in; None where there are no rows."""

    receipt: Receipt
    rows: Path | None
    quarantine: Path | None


def staged_files(
    plan: LoadPlan, schema: TableSchema, store: ObjectStore, scratch: Path, now: Callable[[], datetime]
) -> Files:
    """Fetches and stages the plan's object under `scratch`. Raises NotFoundError, ConflictError as `load` does."""
    import duckdb

    source = fetch(plan, store, scratch, single_column=len(schema.columns) == 1)
    staged, rows, quarantine = (scratch / f"{name}.parquet" for name in ("staged", "rows", "quarantine"))
    with duckdb.connect(config={"temp_directory": str(scratch / "spill")}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        job = Job(connection, plan, schema, now(), staged, quarantine, scratch)
        receipt = draft(job, source, store)
        if not schema.unique_key and all(column.type != "json" for column in schema.columns):
            rows = staged
        elif receipt.loaded:
            kept = _without_twins(job, rows)
            receipt = replace(receipt, loaded=kept, duplicates=receipt.duplicates + receipt.loaded - kept)
    return Files(receipt, rows if receipt.loaded else None, quarantine if receipt.quarantined else None)


def _without_twins(job: Job, target: Path) -> int:
    """Writes the rows to bring in, the first of those equal in the unique key; how many. JSON goes as text."""
    columns = ", ".join(
        f"CAST({identifier(c.name)} AS VARCHAR) AS {identifier(c.name)}" if c.type == "json" else identifier(c.name)
        for c in job.schema.columns
    )
    keys = ", ".join(identifier(name) for name in job.schema.unique_key)
    first = f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY file_row_number) = 1" if keys else ""
    rows = f"read_parquet({literal(str(job.rows_file))}, file_row_number = true)"
    select = f"SELECT {columns}, {', '.join(PROVENANCE)} FROM {rows} {first} ORDER BY file_row_number"
    return copy_parquet(job.connection, select, target)
