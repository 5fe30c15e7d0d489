"""Ids of quarantined records, and the equation every receipt must satisfy."""

from __future__ import annotations

import hashlib

from mlplatform.core.loads.plan import Receipt
from mlplatform.errors import BugError


def quarantine_id(batch_id: str, offset: str) -> str:
    """Content id of a quarantined record: the same record of the same batch."""
    return hashlib.sha256(f"{batch_id}\x1f{offset}".encode()).hexdigest()[:32]


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
