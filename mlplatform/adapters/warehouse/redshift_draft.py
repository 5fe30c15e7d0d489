"""An object staged on this machine: rows that fit and records that do not as Parquet files, and the receipt to be.

Parsing and judging is what every warehouse's load shares (`ducklake_stage` and the readers beside it, on a DuckDB without
any catalogue): the same record has the same fate and the same reason whichever warehouse it goes to. Only what Redshift
itself cannot hold is judged here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from mlplatform.adapters.warehouse.ducklake_csv import stage_csv
from mlplatform.adapters.warehouse.ducklake_jsonl import stage_jsonl
from mlplatform.adapters.warehouse.ducklake_parquet import stage_parquet
from mlplatform.adapters.warehouse.ducklake_source import Source, fetch
from mlplatform.adapters.warehouse.ducklake_stage import Bad, Job, Staged, copy_parquet, write_quarantine
from mlplatform.adapters.warehouse.redshift_sql import LONGEST_VARCHAR_BYTES
from mlplatform.core.loads.fits import literal, quoted
from mlplatform.core.loads.plan import CsvFormat, JsonLinesFormat, LoadPlan, Receipt
from mlplatform.core.tables.schema import PROVENANCE, TableSchema
from mlplatform.errors import DataError
from mlplatform.ports.object_store import ObjectStore

_SHOWN_BYTES = 64 * 1024
"""How much of an object that is quarantined whole is kept beside the reason."""


@dataclass(frozen=True)
class Draft:
    """The receipt unless rows turn out to be in the table already, and the files to COPY; None where there are no rows."""

    receipt: Receipt
    rows: Path | None
    quarantine: Path | None


def draft(plan: LoadPlan, schema: TableSchema, store: ObjectStore, scratch: Path, now: Callable[[], datetime]) -> Draft:
    """Fetches and stages the plan's object under `scratch`. Raises NotFoundError, ConflictError as `load` does."""
    import duckdb

    source = fetch(plan, store, scratch, single_column=len(schema.columns) == 1)
    blank = _receipt(plan, source, now())
    if plan.refuse:
        return Draft(_refused(blank, source, plan.refuse), None, None)
    with duckdb.connect(config={"temp_directory": str(scratch / "spill")}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows, quarantine = scratch / "staged.parquet", scratch / "quarantine.parquet"
        job = Job(connection, plan, schema, blank.loaded_at, rows, quarantine, scratch)
        try:
            staged = _stage(job, source)
            arrived = source.count()
            _check_count(arrived, staged)
            _check_lengths(job, staged)
            kept = _without_twins(job, scratch / "rows.parquet") if staged.rows else 0
        except DataError as error:
            return _unparseable(job, source, store, error)
    receipt = replace(
        blank,
        content_sha256=source.sha256,
        arrived=arrived,
        loaded=kept,
        quarantined=staged.quarantined,
        duplicates=staged.skipped + staged.rows - kept,
        filtered=staged.filtered,
    )
    return Draft(receipt, scratch / "rows.parquet" if kept else None, quarantine if staged.quarantined else None)


def _stage(job: Job, source: Source) -> Staged:
    if source.error is not None:
        raise source.error
    if isinstance(job.plan.format, CsvFormat):
        return stage_csv(job, source, job.plan.format)
    if isinstance(job.plan.format, JsonLinesFormat):
        return stage_jsonl(job, source)
    return stage_parquet(job, source)


def _check_count(arrived: int, staged: Staged) -> None:
    if staged.total != arrived:
        raise DataError(f"the object has {arrived} records by its bytes, and {staged.total} by the parser")


def _check_lengths(job: Job, staged: Staged) -> None:
    """That Redshift's VARCHAR can hold every text. Raises DataError, by column."""
    texts = [c.name for c in job.schema.columns if c.type in ("varchar", "json")]
    if not texts or not staged.rows:
        return
    longest = ", ".join(f"max(strlen({quoted(name)})), bool_or(contains({quoted(name)}, chr(0)))" for name in texts)
    row = job.connection.execute(f"SELECT {longest} FROM read_parquet({literal(str(job.rows_file))})").fetchone() or ()
    for index, name in enumerate(texts):
        size_bytes, null_byte = row[2 * index], row[2 * index + 1]
        if size_bytes is not None and size_bytes > LONGEST_VARCHAR_BYTES:
            raise DataError(
                f"column '{name}': Redshift holds texts of {LONGEST_VARCHAR_BYTES} bytes, found one of {size_bytes}"
            )
        if null_byte:
            raise DataError(f"column '{name}': Redshift holds no text with a null byte, found one")


def _without_twins(job: Job, target: Path) -> int:
    """Writes the rows to COPY, the first of those equal in the unique key; how many. JSON goes as text."""
    columns = ", ".join(
        f"CAST({quoted(c.name)} AS VARCHAR) AS {quoted(c.name)}" if c.type == "json" else quoted(c.name)
        for c in job.schema.columns
    )
    keys = ", ".join(quoted(name) for name in job.schema.unique_key)
    first = f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY file_row_number) = 1" if keys else ""
    rows = f"read_parquet({literal(str(job.rows_file))}, file_row_number = true)"
    select = f"SELECT {columns}, {', '.join(PROVENANCE)} FROM {rows} {first} ORDER BY file_row_number"
    return copy_parquet(job.connection, select, target)


def _receipt(plan: LoadPlan, source: Source, now: datetime) -> Receipt:
    return Receipt(
        batch_id=plan.batch_id,
        table=plan.table,
        shard=plan.shard,
        last=plan.last,
        upto=plan.upto,
        epoch=plan.epoch,
        key=plan.key,
        etag=plan.etag,
        content_sha256=source.sha256,
        outcome="loaded",
        arrived=0,
        loaded=0,
        quarantined=0,
        duplicates=0,
        filtered=0,
        loaded_at=now,
    )


def _refused(blank: Receipt, source: Source, why: str) -> Receipt:
    try:
        arrived = source.count()
    except DataError:
        arrived = 1
    return replace(
        blank, outcome="refused", reason=why, content_sha256=source.sha256, arrived=arrived, duplicates=arrived
    )


def _unparseable(job: Job, source: Source, store: ObjectStore, error: DataError) -> Draft:
    job.quarantine_file.unlink(missing_ok=True)
    with suppress(DataError):
        source.count()
    why = f"Object '{job.plan.key}': {error}"
    with store.open(job.plan.key) as file:
        write_quarantine(job, [Bad("", why, file.read(_SHOWN_BYTES))])
    receipt = _receipt(job.plan, source, job.loaded_at)
    receipt = replace(receipt, outcome="unparseable", reason=why, arrived=1, quarantined=1)
    return Draft(receipt, None, job.quarantine_file)
