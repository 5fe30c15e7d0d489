"""Receipts as ledger rows and back, the equation every receipt must satisfy, and ids of quarantined records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from mlplatform.core.loads.plan import Receipt
from mlplatform.core.tables.books import LEDGER
from mlplatform.errors import BugError


def quarantine_id(batch_id: str, offset: str) -> str:
    """Content id of a quarantined record: the same record of the same batch."""
    return hashlib.sha256(f"{batch_id}\x1f{offset}".encode()).hexdigest()[:32]


def ledger_row(receipt: Receipt) -> dict[str, Any]:
    """The receipt's ledger row, by column; times in UTC, without a zone."""
    fields = {**vars(receipt), "table_name": receipt.table, "loaded_at": receipt.loaded_at.replace(tzinfo=None)}
    return {name: fields[name] for name, _ in LEDGER}


def receipt_of(row: Mapping[str, Any]) -> Receipt:
    """The receipt that a ledger row keeps."""
    fields = {**row, "table": row["table_name"], "loaded_at": row["loaded_at"].replace(tzinfo=UTC)}
    del fields["table_name"]
    return Receipt(**fields)


def balanced(receipt: Receipt) -> Receipt:
    """`receipt` itself, if every record that arrived is accounted for.

    Raises:
        BugError: it is not; nothing may be committed.
    """
    if not receipt.balanced() or min(receipt.loaded, receipt.quarantined, receipt.duplicates, receipt.filtered) < 0:
        raise BugError(
            f"Receipt of '{receipt.key}' for table '{receipt.table}' does not add up: arrived {receipt.arrived}, "
            f"found loaded {receipt.loaded} + quarantined {receipt.quarantined} + duplicates {receipt.duplicates} "
            f"+ filtered {receipt.filtered}.",
            next_step="Nothing was loaded. Please report it with the object.",
        )
    return receipt
