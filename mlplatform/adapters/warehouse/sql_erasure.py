"""Erasure in an SQL warehouse: rows and quarantined records deleted, and the book's row, in one transaction."""

from __future__ import annotations

from mlplatform.adapters.warehouse.sql_session import SqlSession
from mlplatform.adapters.warehouse.sql_tables import SqlTables
from mlplatform.core.loads.erasure import Erased, Erasure


def erase(session: SqlSession, tables: SqlTables, erasure: Erasure) -> Erased:
    """See `ports.warehouse.Warehouse.erase`."""
    erasure.check_columns(tables.columns(erasure.table))
    dialect = tables.dialect
    with session.transaction():
        tables.lock_books()
        rows = session.count(
            f"DELETE FROM {tables.name(erasure.table)} WHERE {erasure.where(dialect.identifier)}",
            erasure.parameters(),
        )
        records = 0
        if erasure.records:
            ids = ", ".join(map(dialect.literal, erasure.records))
            records = session.count(
                f"DELETE FROM {tables.name('_quarantine')} WHERE table_name = ? AND quarantine_id IN ({ids})",
                [erasure.table],
            )
        erased = Erased(rows, records)
        if rows or records:
            row = erasure.row(erased, snapshots=False)
            session.execute(
                f"INSERT INTO {tables.name('_erasures')} ({', '.join(map(dialect.identifier, row))}) "
                f"VALUES ({', '.join('?' * len(row))})",
                list(row.values()),
            )
    return erased
