"""What is due for a table: plans worked out from what arrived, the ledger, and the guards of its shards."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlplatform.core.loads.arrivals import decide
from mlplatform.core.loads.plan import Guard, JsonLinesFormat, LoadPlan, ParquetFormat
from mlplatform.errors import BugError, ConflictError, StateError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.arrivals import Arrival, Landing, Prefix, prefixes, ranges, shards
from mlplatform.stations.inbox import Inbox
from mlplatform.stations.ledger import Ledger

_PLANS = 500
_PAGE = 1000
REMEMBERED_S = 2.0


@dataclass(frozen=True)
class Due:
    """Plans in the order to load them; `complete` if nothing else was due when it was looked."""

    plans: list[LoadPlan]
    complete: bool


class DueLoads:
    """Plans the loads of one table, `consumer` of the `inbox` if there is one. With `claim`, it raises the epoch of every
    shard it meets, see `Ingest`."""

    def __init__(
        self,
        warehouse: Warehouse,
        store: ObjectStore,
        table: TableSpec,
        ledger: Ledger,
        *,
        streams: Mapping[str, StreamSpec],
        claim: bool,
        inbox: Inbox | None = None,
        consumer: str = "",
    ) -> None:
        self._warehouse = warehouse
        self._store = store
        self._spec = table
        self._ledger = ledger
        self._streams = streams
        self._prefixes = prefixes(table.sources, streams)
        self._claims: dict[str, int] | None = {} if claim else None
        self._guards: dict[str, Guard] = {}
        self._made_guard = self._overtaken = False
        self._read_at = -math.inf
        self._notices = inbox
        self._consumer = consumer
        self._landing: dict[str, Landing] = {}
        self._inbox: Inbox | None = None
        self._brief = False

    def look(self, *, noticed: bool = False) -> Due:
        """See `Ingest.plan`; the table is there. `noticed`: rest on notices of arrivals, where there are any.

        Plans rest on books that were just read. That nothing is due may rest on books of `REMEMBERED_S` ago: a look when
        nothing arrives then costs a listing, and a loader that looks all the time leaves the processor alone.
        """
        self._inbox = self._notices if noticed and self._notices is not None and self._notices.pull() else None
        if time.monotonic() - self._read_at < REMEMBERED_S and self._nothing():
            self._settle([], landing=True)
            return Due([], complete=True)
        while True:
            # In this order: a guard newer than the ledger would count a load of another loader that the ledger does not show.
            self._guards = self._read_guards()
            self._made_guard = self._overtaken = False
            self._read_ledger()
            self._read_at = time.monotonic()
            plans, gaps = self._plans()
            self._settle(plans, landing=not gaps and not self._overtaken)
            if gaps and not plans:
                raise gaps[0]
            if not self._made_guard or not plans:
                return Due(plans, complete=not gaps and not self._overtaken and len(plans) < _PLANS)

    def look_once(self) -> Due:
        """What notices tell of, for who looks once: of a long ledger, only the rows that are asked for are read."""
        if self._notices is None or not self._notices.pull():
            return self.look()
        known, self._ledger, self._brief = self._ledger, self._ledger.unread(), True
        self.forget()
        try:
            return self.look(noticed=True)
        finally:
            self._ledger, self._brief = known, False
            self.forget()

    def forget(self) -> None:
        """Let the next look read the books: this loader wrote into them."""
        self._read_at = -math.inf

    def _nothing(self) -> bool:
        """Whether nothing is due by the books as they were read last."""
        gaps: list[StateError] = []
        try:
            found = next(self._all_plans(gaps), None)
        except ConflictError:
            return False
        return found is None and not gaps and not self._overtaken

    def _read_ledger(self) -> None:
        if self._brief:
            self._ledger.look_up_shards()
        else:
            self._ledger.refresh()

    def _settle(self, plans: Sequence[LoadPlan], *, landing: bool) -> None:
        """What was looked at and is not among `plans` needs no second look; landing objects where `landing` says so: a gap
        holds up its shard, and no prefix."""
        if self._inbox is None or (self._brief and len(plans) == _PLANS):
            return  # of a brief look, more was looked at than there are plans
        due = {plan.key for plan in plans}
        for prefix in self._prefixes:
            prefix.settle(self._inbox, consumer=self._consumer, due={k for k in due if k.startswith(prefix.prefix)})
        if landing and not any(plan.stream for plan in plans):
            for each in self._landing.values():
                each.settle()

    def _plans(self) -> tuple[list[LoadPlan], list[StateError]]:
        """What is due, and the gaps that hold up a shard."""
        gaps: list[StateError] = []
        return list(itertools.islice(self._all_plans(gaps), _PLANS)), gaps

    def _all_plans(self, gaps: list[StateError]) -> Iterator[LoadPlan]:
        for prefix in self._prefixes:
            prefix.begin()
        return itertools.chain(self._stream_plans(gaps), self._object_plans())

    def _read_guards(self) -> dict[str, Guard]:
        name = self._spec.name
        rows = self._warehouse.query("SELECT shard, last, epoch FROM _guards WHERE table_name = ?", [name]).to_pylist()
        return {row["shard"]: Guard(name, row["shard"], row["last"], row["epoch"]) for row in rows}

    def _stream_plans(self, gaps: list[StateError]) -> Iterator[LoadPlan]:
        """Plans of every shard, each up to its first gap."""
        for source in self._spec.sources:
            if source.stream is None:
                continue
            if source.stream not in self._streams:
                raise BugError(f"Ingest of table '{self._spec.name}' was given no stream '{source.stream}'.")
            prefix = self._streams[source.stream].delivery.prefix
            landing = self._landing.setdefault(prefix, Landing(prefix))
            if self._inbox is not None and not landing.is_due(self._inbox, time.monotonic()):
                continue
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
                # Another loader went on since the guards were read; the next look starts from there.
                self._overtaken = True
                return
            yield LoadPlan(
                table=self._spec.name,
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
            for arrival in self._arrivals(prefix):
                plan = self._object_plan(prefix, arrival, chains)
                if plan is not None:
                    chains[plan.shard] = Guard(plan.table, plan.shard, plan.upto, plan.epoch)
                    yield plan

    def _arrivals(self, prefix: Prefix) -> Iterable[Arrival]:
        if self._inbox is None:
            return prefix.look(self._store, page=_PAGE)
        found = prefix.noticed(self._store, self._inbox, consumer=self._consumer, page=_PAGE, now=time.time())
        if not self._brief:
            return found
        all_of_them = list(found)
        self._ledger.look_up([arrival.info.key for arrival in all_of_them])
        return all_of_them

    def _object_plan(self, prefix: Prefix, arrival: Arrival, chains: Mapping[str, Guard]) -> LoadPlan | None:
        info = arrival.info
        wanted = arrival.format is not None
        shard = f"objects/{prefix.prefix}" if wanted else f"unmatched/{prefix.prefix}"
        # An object that was quarantined whole keeps its key when it is replayed.
        receipts = [r for r in self._ledger.of_key(info.key) if r.shard in (shard, f"replay/{self._spec.name}")]
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
                f"takes it; suffixes taken: {prefix.suffixes}. Put it under a key with one of these, or add a source in the YAML."
            )
        guard = chains.get(shard) or self._guard(shard)
        return LoadPlan(
            table=self._spec.name,
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
        """The shard's guard; the first time made where it is missing, and claimed if this loader claims."""
        name = self._spec.name
        found = self._guards.get(shard)
        claimed = None if self._claims is None else self._claims.get(shard)
        if found is None or (self._claims is not None and claimed is None):
            found = self._guards[shard] = self._warehouse.guard(name, shard, claim=self._claims is not None)
            self._made_guard = True
            if self._claims is not None:
                self._claims[shard] = found.epoch
        elif claimed is not None and found.epoch != claimed:
            raise ConflictError(
                f"Shard '{shard}' of table '{name}' was claimed by another loader: expected epoch {claimed}, found "
                f"{found.epoch}.",
                next_step="This loader stops; the other one goes on.",
            )
        return found
