"""Erasure: rows and quarantined records deleted, and the book's row, in one transaction.

DuckLake deletes by noting which rows of a file are gone. The bytes leave with the next upkeep (`ducklake_maintenance`),
which writes such files anew and expires the snapshots that still read the old ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlplatform.adapters.warehouse.ducklake_commit import transaction
from mlplatform.adapters.warehouse.ducklake_tables import columns_of, create_books
from mlplatform.core.loads.erasure import Erased, Erasure
from mlplatform.core.loads.guards import LOADS
from mlplatform.core.sql import identifier, literal

if TYPE_CHECKING:
    import duckdb


def erase(writer: duckdb.DuckDBPyConnection, erasure: Erasure) -> Erased:
    """See `ports.warehouse.Warehouse.erase`. Raises DuckDB's own errors: a conflict where another commit was first."""
    erasure.check_columns(columns_of(writer, erasure.table))
    return transaction(writer, lambda: _erase(writer, erasure))


def _erase(writer: duckdb.DuckDBPyConnection, erasure: Erasure) -> Erased:
    create_books(writer)
    # Touching the table's own row makes a load at the same moment conflict on any catalogue.
    writer.execute("UPDATE w.main._guards SET epoch = epoch WHERE table_name = ? AND shard = ?", [erasure.table, LOADS])
    gone = writer.execute(
        f"DELETE FROM w.main.{identifier(erasure.table)} WHERE {erasure.where()}", erasure.parameters()
    ).fetchone()
    records = 0
    if erasure.records:
        ids = ", ".join(map(literal, erasure.records))
        taken = writer.execute(
            f"DELETE FROM w.main._quarantine WHERE table_name = ? AND quarantine_id IN ({ids})", [erasure.table]
        ).fetchone()
        records = int(taken[0]) if taken else 0
    erased = Erased(int(gone[0]) if gone else 0, records)
    if erased.rows or erased.records or erasure.from_snapshots:
        row = erasure.row(erased, snapshots=True)
        writer.execute(
            f"INSERT INTO w.main._erasures ({', '.join(map(identifier, row))}) VALUES ({', '.join('?' * len(row))})",
            list(row.values()),
        )
    return erased
