"""Receipts as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlplatform.core.loads.plan import Receipt
from mlplatform.core.loads.receipts import receipt_of
from mlplatform.core.sql import identifier
from mlplatform.core.tables.books import LEDGER

if TYPE_CHECKING:
    import duckdb

_NAMES = tuple(name for name, _ in LEDGER)


def find_receipt(connection: duckdb.DuckDBPyConnection, table: str, batch_id: str) -> Receipt | None:
    """The batch's receipt, or None where it was not loaded."""
    row = connection.execute(
        f"SELECT {', '.join(map(identifier, _NAMES))} FROM w.main._ledger WHERE table_name = ? AND batch_id = ?",
        [table, batch_id],
    ).fetchone()
    return None if row is None else receipt_of(dict(zip(_NAMES, row, strict=True)))


def loaded_before(
    connection: duckdb.DuckDBPyConnection, table: str, content_sha256: str, key: str, superseded: Sequence[str]
) -> str | None:
    """Key of another object with the same bytes whose rows are in the table, or None."""
    rows = connection.execute(
        "SELECT key, batch_id FROM w.main._ledger WHERE table_name = ? AND content_sha256 = ? AND key <> ? "
        "AND outcome = 'loaded' ORDER BY position LIMIT 100",
        [table, content_sha256, key],
    ).fetchall()
    return next((found for found, batch in rows if batch not in superseded), None)
