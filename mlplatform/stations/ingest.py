"""Ingest: what arrived for a table is planned from the guards' state, loaded exactly once, and answered with receipts."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mlplatform.core.loads.arrivals import decide
from mlplatform.core.loads.erasure import Erased
from mlplatform.core.loads.plan import Guard, JsonLinesFormat, LoadPlan, ParquetFormat, Receipt
from mlplatform.errors import BugError, ConflictError, NotFoundError, ProfileError, StateError
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.arrivals import Arrival, Prefix, prefixes, ranges, shards
from mlplatform.stations.ledger import Ledger
from mlplatform.stations.retention import expire_rows

_PLANS = 500
_PAGE = 1000
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
    ) -> None:
        if table.existing:
            raise ProfileError(f"Table '{table.name}' is loaded by others ('{table.existing}'); it is only read.")
        self.system = system
        self._warehouse = warehouse
        self._store = store
        self._spec = table
        self._schema = table.schema_()
        self._streams = streams
        self._prefixes = prefixes(table.sources, streams)
        self._ledger = Ledger(warehouse, self._schema.name)
        self._claims: dict[str, int] | None = {} if claim else None
        self._created = False

    @property
    def spec(self) -> TableSpec:
        """The table it loads."""
        return self._spec

    def create(self) -> None:
        """Makes the table, or brings it to the schema."""
        self._warehouse.create(self._schema)
        self._created = True

    def plan(self) -> list[LoadPlan]:
        """What is due, in the order to load it; at most a few hundred plans at a time. Reads only, but for new guard rows.

        Raises:
            StateError: all that is due lies behind a delivered range that is missing; it holds up its own shard only.
        """
        if not self._created:
            self.create()
        while True:
            self._ledger.refresh()
            seen = self._ledger.position
            gaps: list[StateError] = []
            plans = list(itertools.islice(itertools.chain(self._stream_plans(gaps), self._object_plans()), _PLANS))
            if gaps and not plans:
                raise gaps[0]
            # Guards were read behind the ledger: one may count a load of another loader that the ledger did not show.
            self._ledger.refresh()
            due = [plan for plan in plans if not self._loaded_since(seen, plan)]
            if due or not plans:
                return due

    def _loaded_since(self, position: int, plan: LoadPlan) -> bool:
        """Whether the plan's object was loaded by a ledger row behind `position`."""
        same = (r for r in self._ledger.of_key(plan.key) if r.etag == plan.etag and r.shard == plan.shard)
        return any(r.position > position for r in same)

    def load(self, plan: LoadPlan) -> Receipt:
        """See `ports.warehouse.Warehouse.load`."""
        return self._warehouse.load(plan, self._schema, self._store)

    def run(self, *, for_s: float = math.inf) -> list[Receipt]:
        """Plans and loads until nothing is due, or for so many seconds (one plan at least); plans again after a conflict.

        Raises:
            ConflictError: another loader claimed the table, or conflicts never end.
        """
        receipts: list[Receipt] = []
        conflicts, end = 0, time.monotonic() + for_s
        while plans := self.plan():
            for plan in plans:
                try:
                    receipts.append(self.load(plan))
                except (ConflictError, NotFoundError):
                    conflicts += 1
                    if conflicts > _CONFLICTS:
                        raise
                    break
                conflicts = 0
                if time.monotonic() >= end:
                    return receipts
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

    def _stream_plans(self, gaps: list[StateError]) -> Iterator[LoadPlan]:
        """Plans of every shard, each up to its first gap."""
        for source in self._spec.sources:
            if source.stream is None:
                continue
            if source.stream not in self._streams:
                raise BugError(f"Ingest of table '{self._spec.name}' was given no stream '{source.stream}'.")
            prefix = self._streams[source.stream].delivery.prefix
            for shard in shards(self._store, prefix):
                try:
                    yield from self._shard_plans(source.stream, prefix, shard)
                except StateError as gap:
                    gaps.append(gap)

    def _shard_plans(self, stream: str, prefix: str, shard: str) -> Iterator[LoadPlan]:
        name = f"stream/{stream}/{shard}"
        newest = self._ledger.newest(name)
        position = newest.upto if newest is not None else ""
        guard: Guard | None = None
        found = ranges(
            self._store, prefix, shard, position=position, newest_key=newest.key if newest is not None else None
        )
        for landed, info in found:
            guard = guard or self._guard(name)
            if guard.last != position:
                # Another loader went on since the ledger was read; the next plan starts from there.
                return
            yield LoadPlan(
                table=self._schema.name,
                shard=name,
                last=position,
                upto=landed.upto,
                epoch=guard.epoch,
                key=info.key,
                etag=info.etag,
                size_bytes=info.size_bytes,
                format=JsonLinesFormat(),
            )
            position = landed.upto
            guard = Guard(guard.table, guard.shard, position, guard.epoch)

    def _object_plans(self) -> Iterator[LoadPlan]:
        for prefix in self._prefixes:
            chains: dict[str, Guard] = {}
            for arrival in prefix.look(self._store, page=_PAGE):
                plan = self._object_plan(prefix, arrival, chains)
                if plan is not None:
                    chains[plan.shard] = Guard(plan.table, plan.shard, plan.upto, plan.epoch)
                    yield plan

    def _object_plan(self, prefix: Prefix, arrival: Arrival, chains: Mapping[str, Guard]) -> LoadPlan | None:
        info = arrival.info
        wanted = arrival.format is not None
        shard = f"objects/{prefix.prefix}" if wanted else f"unmatched/{prefix.prefix}"
        # An object that was quarantined whole keeps its key when it is replayed.
        receipts = [r for r in self._ledger.of_key(info.key) if r.shard in (shard, f"replay/{self._schema.name}")]
        if wanted:
            decision = decide(info.key, info.etag, receipts, self._spec.on_changed_object)
            if decision.action == "nothing":
                return None
            refuse = decision.why
        else:
            if any(r.etag == info.etag for r in receipts):
                return None
            decision = decide(info.key, info.etag, (), "refuse")
            refuse = (
                f"Object '{info.key}' lies under prefix '{prefix.prefix}' of table '{self._spec.name}', and no source "
                f"takes it; suffixes taken: {prefix.suffixes}."
            )
        guard = chains.get(shard) or self._guard(shard)
        return LoadPlan(
            table=self._schema.name,
            shard=shard,
            last=guard.last,
            upto=str(int(guard.last or 0) + 1),
            epoch=guard.epoch,
            key=info.key,
            etag=info.etag,
            size_bytes=info.size_bytes,
            # What nothing wants is not read as anything; a footer that is not there makes it one record.
            format=arrival.format or ParquetFormat(),
            supersedes=self._ledger.with_replays(decision.supersedes),
            skip_rows=decision.skip_rows,
            appends_to=decision.appends_to,
            same_content=self._spec.on_same_content,
            refuse=refuse,
            replays=self._ledger.repaired(receipts) if wanted else (),
        )

    def _guard(self, shard: str) -> Guard:
        """The shard's guard; the first time, claimed if this loader claims."""
        name = self._schema.name
        if self._claims is None:
            return self._warehouse.guard(name, shard)
        if shard not in self._claims:
            found = self._warehouse.guard(name, shard, claim=True)
            self._claims[shard] = found.epoch
            return found
        found = self._warehouse.guard(name, shard)
        if found.epoch != self._claims[shard]:
            raise ConflictError(
                f"Shard '{shard}' of table '{name}' was claimed by another loader: expected epoch "
                f"{self._claims[shard]}, found {found.epoch}.",
                next_step="This loader stops; the other one goes on.",
            )
        return found
