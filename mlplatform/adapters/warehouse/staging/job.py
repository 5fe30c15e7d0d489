"""What a format's reader hands to the commit: rows that fit as one Parquet file, those that do not as another."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.core.loads.fits import typed_value
from mlplatform.core.loads.plan import LoadPlan
from mlplatform.core.loads.receipts import quarantine_id
from mlplatform.core.sql import identifier, literal
from mlplatform.core.tables.books import QUARANTINE
from mlplatform.core.tables.schema import Column, TableSchema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_BATCH = 10_000


@dataclass(frozen=True)
class Bad:
    """A record that does not fit."""

    offset: str
    reason: str
    raw: bytes


@dataclass(frozen=True)
class Job:
    """One load in the making."""

    connection: duckdb.DuckDBPyConnection
    plan: LoadPlan
    schema: TableSchema
    loaded_at: datetime
    rows_file: Path
    quarantine_file: Path
    scratch: Path

    @property
    def source(self) -> str:
        """What rows say they come from: ``stream/<stream>/<shard>``, or the object's key."""
        return self.plan.shard if self.plan.stream else self.plan.key

    def provenance(self, offset: str = "CAST(NULL AS VARCHAR)") -> str:
        """SQL of the columns that every row carries beside its own."""
        stamp = self.loaded_at.replace(tzinfo=None).isoformat(sep=" ")
        return (
            f"{literal(self.plan.batch_id)} AS _batch_id, {literal(self.source)} AS _source, "
            f"{offset} AS _offset, TIMESTAMP {literal(stamp)} AS _loaded_at"
        )

    def columns(self, text: dict[str, str]) -> str:
        """SQL of the table's columns from SQL `text` by name; a column without text is NULL."""
        made = [f"{_value(c, text)} AS {identifier(c.name)}" for c in self.schema.columns]
        return ", ".join(made)

    def write(self, select: str, *, ordered: bool = True) -> int:
        """Writes the rows of `select` to the Parquet file of rows; how many."""
        return copy_parquet(self.connection, select, self.rows_file, ordered=ordered)


@dataclass(frozen=True)
class Staged:
    """Counts of a staged object; `skipped` are records that were loaded before (they count as duplicates)."""

    rows: int
    quarantined: int
    filtered: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        return self.rows + self.quarantined + self.filtered + self.skipped


def _value(column: Column, text: dict[str, str]) -> str:
    if column.name not in text:
        return f"CAST(NULL AS {sql_type(column)})"
    value = typed_value(column, text[column.name])
    return f"TRY_CAST({value} AS JSON)" if column.type == "json" else value


def sql_type(column: Column) -> str:
    """DuckDB's type of a column."""
    return column.type.upper()


def copy_parquet(connection: duckdb.DuckDBPyConnection, select: str, path: Path, *, ordered: bool = True) -> int:
    """Rows of `select` into a Parquet file; how many.

    Keeping the order of what is read costs a fifth of the time and half a GiB on a large object; only "the first of
    equal rows stays" needs it.
    """
    connection.execute(f"SET preserve_insertion_order = {'true' if ordered else 'false'}")
    row = connection.execute(f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet)").fetchone()
    return int(row[0]) if row else 0


def write_quarantine(job: Job, records: Iterable[Bad], *, columns: tuple[str, ...] = ()) -> int:
    """Writes the records' Parquet file, a few thousand at a time; how many. No file where there are none."""
    import pyarrow.parquet as pq

    count = 0
    batch: list[Bad] = []
    writer: pq.ParquetWriter | None = None
    try:
        for record in records:
            batch.append(record)
            count += 1
            if len(batch) == _BATCH:
                writer = writer or pq.ParquetWriter(job.quarantine_file, quarantine_schema())
                writer.write_batch(_quarantine_batch(job, batch, columns))
                batch = []
        if batch:
            writer = writer or pq.ParquetWriter(job.quarantine_file, quarantine_schema())
            writer.write_batch(_quarantine_batch(job, batch, columns))
    finally:
        if writer is not None:
            writer.close()
    return count


def quarantine_schema() -> pa.Schema:
    """Columns of `_quarantine`."""
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {"blob": pa.binary(), "timestamp": pa.timestamp("us"), "varchar": pa.string()}
    return pa.schema([pa.field(name, kinds[kind]) for name, kind in QUARANTINE])


def _quarantine_batch(job: Job, batch: list[Bad], columns: tuple[str, ...]) -> pa.RecordBatch:
    import pyarrow as pa

    now = job.loaded_at.replace(tzinfo=None)
    names = json.dumps(list(columns))
    rows = [
        {
            "quarantine_id": quarantine_id(job.plan.batch_id, record.offset),
            "batch_id": job.plan.batch_id,
            "table_name": job.plan.table,
            "source": job.plan.key,
            "record_offset": record.offset,
            "reason": record.reason,
            "raw": record.raw,
            "columns": names,
            "quarantined_at": now,
        }
        for record in batch
    ]
    return pa.RecordBatch.from_pylist(rows, schema=quarantine_schema())
