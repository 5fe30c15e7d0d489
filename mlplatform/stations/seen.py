"""Up to which load of a table something was seen: what was committed behind it came later, whenever its load began."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlplatform.core.sql import literal
from mlplatform.core.tables.schema import LOADED_AT
from mlplatform.errors import NotFoundError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.stations.snapshot_parts import read_manifest


@dataclass(frozen=True)
class Seen:
    """`position` of the newest ledger row that was there; None where only the time is known, by which a load began."""

    position: int | None
    time: datetime

    def later_sql(self, table: str) -> str:
        """SQL that is true for the rows of `table` that were loaded since."""
        if self.position is None:
            moment = self.time.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
            return f"{LOADED_AT} > CAST({literal(moment)} AS TIMESTAMP)"
        return (
            f"_batch_id IN (SELECT batch_id FROM _ledger WHERE table_name = {literal(table)} "  # noqa: S608
            f"AND position > {self.position})"
        )


def trained_on(store: ObjectStore, snapshot: Mapping[str, Any], table: str) -> Seen | None:
    """What the rows of `snapshot` (a SnapshotRef as JSON) had seen of `table`; None where its manifest is gone or does not say."""
    with suppress(NotFoundError):
        return seen_in(read_manifest(store, snapshot), table)
    return None


def seen_in(manifest: Mapping[str, Any], table: str) -> Seen | None:
    """What a feature set's manifest says of `table`; None where it does not."""
    if not manifest.get("built_at"):
        return None
    positions = manifest.get("positions")
    return Seen(
        None if positions is None else int(positions.get(table, 0)), datetime.fromisoformat(manifest["built_at"])
    )
