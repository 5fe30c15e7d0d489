"""Ingest: what is due for a table is loaded exactly once and answered with receipts, and their sums are told."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mlplatform.core.loads.erasure import Erased
from mlplatform.core.loads.plan import Guard, LoadPlan, Receipt
from mlplatform.errors import ConflictError, NotFoundError, ProfileError, StateError
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.due_loads import Due, DueLoads
from mlplatform.stations.inbox import Inbox
from mlplatform.stations.ledger import Ledger
from mlplatform.stations.retention import expire_rows

_CONFLICTS = 50


@dataclass(frozen=True)
class Evidence:
    """What a station did, for the asset's page: numbers, and outcomes of its checks."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    checks: Sequence[CheckOutcome] = ()


@dataclass(frozen=True)
class IngestStatus:
    """Totals over a table's receipts, records that wait in quarantine, guards, and objects that are due."""

    table: str
    receipts: int
    arrived: int
    loaded: int
    quarantined: int
    duplicates: int
    filtered: int
    waiting_in_quarantine: int
    shards: tuple[Guard, ...]
    due: int


class Ingest:
    """Loads one table. Keep the instance: it remembers the ledger, so that a look when nothing is new stays cheap.

    With `claim`, it raises the epoch of every shard it meets, which locks out loaders that claimed it earlier.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        store: ObjectStore,
        table: TableSpec,
        *,
        system: str,
        streams: Mapping[str, StreamSpec],
        claim: bool = False,
        inbox: Inbox | None = None,
    ) -> None:
        if table.existing:
            raise ProfileError(
                f"Table '{table.name}' is loaded by others ('{table.existing}'); it is only read.",
                next_step="Query it; to load it here, leave 'existing' out of its YAML and give it sources.",
            )
        self.system = system
        self._warehouse = warehouse
        self._store = store
        self._spec = table
        self._schema = table.schema_()
        self._ledger = Ledger(warehouse, self._schema.name)
        self._due = DueLoads(
            warehouse,
            store,
            table,
            self._ledger,
            streams=streams,
            claim=claim,
            inbox=inbox,
            consumer=f"{system}/{table.name}",
        )
        self._created = False

    @property
    def spec(self) -> TableSpec:
        """The table it loads."""
        return self._spec

    def create(self) -> None:
        """Makes the table, or brings it to the schema."""
        self._warehouse.create(self._schema)
        self._created = True

    def plan(self, *, noticed: bool = False) -> list[LoadPlan]:
        """What is due, in the order to load it; at most a few hundred plans at a time. Reads only, but for new guard rows.

        `noticed`: what notices of arrivals tell of, where the profile has any, instead of what a listing shows; who looks
        often does so, and its cost does not grow with the store.

        Raises:
            StateError: all that is due lies behind a delivered range that is missing; it holds up its own shard only.
        """
        if noticed and not self._created:
            self.create()
        return self._due.look_once().plans if noticed else self._look().plans

    def _look(self, *, noticed: bool = False) -> Due:
        if not self._created:
            self.create()
        return self._due.look(noticed=noticed)

    def load(self, plan: LoadPlan) -> Receipt:
        """See `ports.warehouse.Warehouse.load`."""
        self._due.forget()
        return self._warehouse.load(plan, self._schema, self._store)

    def run(self, *, for_s: float = math.inf) -> list[Receipt]:
        """Plans and loads all that is due, or for so many seconds (one plan at least); plans again after a conflict.

        Who does so for some seconds comes again, and rests on notices of arrivals where there are any.

        Raises:
            ConflictError: another loader claimed the table, or conflicts never end.
            StateError: nothing was loaded, since all that is due lies behind a delivered range that is missing.
        """
        receipts: list[Receipt] = []
        conflicts, end = 0, time.monotonic() + for_s
        while True:
            try:
                due = self._look(noticed=math.isfinite(for_s))
            except StateError:
                if receipts:
                    return receipts
                raise
            if not due.plans:
                break
            overtaken = False
            for plan in due.plans:
                try:
                    receipts.append(self.load(plan))
                except (ConflictError, NotFoundError):
                    conflicts, overtaken = conflicts + 1, True
                    if conflicts > _CONFLICTS:
                        raise
                    break
                conflicts = 0
                if time.monotonic() >= end:
                    return receipts
            if due.complete and not overtaken:
                break
        return receipts

    def expire(self, *, now: datetime) -> Erased:
        """Deletes what is older than the table's `retention_days`."""
        if self._spec.retention_days is not None and not self._created:
            self.create()
        return expire_rows(self._warehouse, self._spec, now)

    def status(self) -> IngestStatus:
        """Totals, guards, and how much is due now."""
        due = len(self.plan())
        name = self._schema.name
        counts = ("arrived", "loaded", "quarantined", "duplicates", "filtered")
        sums = ", ".join(f"CAST(coalesce(sum({c}), 0) AS BIGINT) AS {c}" for c in counts)
        total = self._warehouse.query(
            f"SELECT count(*) AS receipts, {sums} FROM _ledger WHERE table_name = ?",  # noqa: S608
            [name],
        ).to_pylist()[0]
        guards = self._warehouse.query(
            "SELECT shard, last, epoch FROM _guards WHERE table_name = ? AND shard <> '' ORDER BY shard", [name]
        ).to_pylist()
        return IngestStatus(
            table=name,
            **total,
            waiting_in_quarantine=self._waiting(),
            shards=tuple(Guard(name, g["shard"], g["last"], g["epoch"]) for g in guards),
            due=due,
        )

    def evidence(self, receipts: Sequence[Receipt]) -> Evidence:
        """Numbers of a run, and its two checks: every receipt adds up, and nothing waits in quarantine."""
        waiting = self._waiting()
        unbalanced = [r.key for r in receipts if not r.balanced()]
        told = [f"{r.key}: {r.reason}" for r in receipts if r.reason]
        counts = {
            name: sum(getattr(r, name) for r in receipts)
            for name in ("arrived", "loaded", "quarantined", "duplicates", "filtered")
        }
        metadata: dict[str, Any] = {
            "receipts": len(receipts),
            **counts,
            "waiting_in_quarantine": waiting,
            "ledger_position": self._ledger.position if not receipts else max(r.position for r in receipts),
        }
        if receipts:
            metadata["batch_ids"] = [r.batch_id for r in receipts[:20]]
        if told:
            metadata["told"] = told[:20]
        return Evidence(
            metadata,
            (
                CheckOutcome("receipts_balance", not unbalanced, True, {**counts, "unbalanced": unbalanced[:20]}),
                CheckOutcome("quarantine_empty", waiting == 0, False, {"waiting": waiting, "told": told[:20]}),
            ),
        )

    def _waiting(self) -> int:
        found = self._warehouse.query(
            "SELECT count(*) AS n FROM _quarantine WHERE table_name = ? AND replayed_at IS NULL", [self._schema.name]
        )
        return int(found.to_pylist()[0]["n"])
