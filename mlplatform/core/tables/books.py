"""The books that every warehouse keeps beside its tables: columns of each, in order.

Types are the logical ones of `core.tables.schema`, and `blob` for bytes. They are read by `query` like any table.
"""

from __future__ import annotations

from mlplatform.core.tables.schema import PROVENANCE, TableSchema
from mlplatform.errors import ConflictError

LEDGER = (
    ("position", "bigint"),
    ("batch_id", "varchar"),
    ("table_name", "varchar"),
    ("shard", "varchar"),
    ("last", "varchar"),
    ("upto", "varchar"),
    ("epoch", "bigint"),
    ("key", "varchar"),
    ("etag", "varchar"),
    ("content_sha256", "varchar"),
    ("outcome", "varchar"),
    ("arrived", "bigint"),
    ("loaded", "bigint"),
    ("quarantined", "bigint"),
    ("duplicates", "bigint"),
    ("filtered", "bigint"),
    ("loaded_at", "timestamp"),
    ("reason", "varchar"),
    ("event_time_min", "varchar"),
    ("event_time_max", "varchar"),
)
"""One row a batch: a `core.loads.plan.Receipt`. `position` numbers a table's rows from 1, without gaps."""

GUARDS = (("table_name", "varchar"), ("shard", "varchar"), ("last", "varchar"), ("epoch", "bigint"))
"""One row a (table, shard), a `core.loads.plan.Guard`; the shard "" counts the table's loads."""

QUARANTINE = (
    ("quarantine_id", "varchar"),
    ("batch_id", "varchar"),
    ("table_name", "varchar"),
    ("source", "varchar"),
    ("record_offset", "varchar"),
    ("reason", "varchar"),
    ("raw", "blob"),
    ("columns", "varchar"),
    ("quarantined_at", "timestamp"),
    ("replayed_at", "timestamp"),
)
"""One row a record: a `core.loads.plan.QuarantinedRecord`; `columns` is a JSON list, empty but for CSV."""

ERASURES = (
    ("erasure_id", "varchar"),
    ("table_name", "varchar"),
    ("reason", "varchar"),
    ("rows", "bigint"),
    ("records", "bigint"),
    ("erased_at", "timestamp"),
    ("rewritten_at", "timestamp"),
    ("purged_at", "timestamp"),
)
"""One row a `core.loads.erasure.Erasure` that took something: how many rows and quarantined records.

`rewritten_at`: since when no snapshot shows them any more; `purged_at`: since when no file holds them. Both are NULL until
upkeep did so, and those of the erasure itself where snapshots are none of its concern.
"""

BOOKS = {"_ledger": LEDGER, "_guards": GUARDS, "_quarantine": QUARANTINE, "_erasures": ERASURES}


def check_names(schema: TableSchema) -> None:
    """That the table takes no name that the warehouse keeps for itself. Raises ConflictError."""
    reserved = [name for name in schema.names if name in PROVENANCE]
    if schema.name in BOOKS or reserved:
        raise ConflictError(
            f"Table '{schema.name}' uses a name that the warehouse keeps for itself: {', '.join(reserved) or schema.name}.",
            next_step="Choose another name.",
        )
