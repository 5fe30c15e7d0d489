"""Erasure: rows and quarantined records deleted, and the book's row, in one transaction. VACUUM runs by itself."""

from __future__ import annotations

from mlplatform.adapters.warehouse.redshift_connection import RedshiftConnection
from mlplatform.adapters.warehouse.redshift_sql import literal
from mlplatform.adapters.warehouse.redshift_tables import RedshiftTables
from mlplatform.core.loads.erasure import Erased, Erasure
from mlplatform.core.sql import identifier


def erase(connection: RedshiftConnection, tables: RedshiftTables, erasure: Erasure) -> Erased:
    """See `ports.warehouse.Warehouse.erase`."""
    erasure.check_columns(tables.columns(erasure.table))
    with connection.transaction():
        tables.lock_books()
        rows = connection.count(
            f"DELETE FROM {tables.name(erasure.table)} WHERE {erasure.where()}", erasure.parameters()
        )
        records = 0
        if erasure.records:
            ids = ", ".join(map(literal, erasure.records))
            records = connection.count(
                f"DELETE FROM {tables.name('_quarantine')} WHERE table_name = ? AND quarantine_id IN ({ids})",
                [erasure.table],
            )
        erased = Erased(rows, records)
        if rows or records:
            row = erasure.row(erased, snapshots=False)
            connection.execute(
                f"INSERT INTO {tables.name('_erasures')} ({', '.join(map(identifier, row))}) "
                f"VALUES ({', '.join('?' * len(row))})",
                list(row.values()),
            )
    return erased
