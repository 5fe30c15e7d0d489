"""Delivery (Firehose's role): what is on a stream becomes landing objects, each record in exactly one of them.

There is no state but the landing objects. The position of a shard is the end of its newest object, found by its name.
So that two deliverers cannot write overlapping ranges, the end of a range is settled before the range is written:

1. *claim*: put ``_delivery/<prefix><shard>/<last>``, if absent, with the range's end in it. Who comes second reads the
   claim and takes its end.
2. *look again*: if by now an object starts at `last` or later, that position is taken; go on behind it.
3. *write*: put the landing object ``(last, end]``, if absent. Its name and content follow from the claim and the stream, so
   that it does not matter who writes it, or how often.
4. *let go*: delete the claim. One that a crash or a late comer leaves behind is found useless in step 2.

A crash between any two steps is made good by the next delivery from the same position: no record is left out, none is in
two objects. Keep a shard's newest landing object: without it, delivery starts again at the oldest record of the stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mlplatform.core.loads.landing import (
    LandingRange,
    claim_key,
    filtered_line,
    landing_key,
    lost_line,
    spliced_line,
    unfit,
    unparsed_line,
)
from mlplatform.errors import ConflictError, NotFoundError, PlatformError, StateError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.stream import ShardState, StoredRecord, Stream
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.transformation import load_transformation
from mlplatform.stations.landing_positions import LandingPositions

PAGE = 1000
"""Records that a read asks for at most."""


@dataclass(frozen=True)
class Delivered:
    """One landing object written: `records` of ``(last, upto]`` with those `filtered` and left `unparsed`.

    `lost` says how many records retention took before they were delivered; "" where none.
    """

    shard: str
    last: str
    upto: str
    key: str
    records: int
    filtered: int
    unparsed: int
    size_bytes: int
    lost: str = ""


@dataclass(frozen=True)
class Pending:
    """What waits on one shard: the records behind `last` up to `newest`, the oldest from `oldest_at`; None where none."""

    shard: str
    last: str
    newest: str
    oldest_at: datetime | None

    def lag_s(self, now: datetime) -> float:
        """Seconds the oldest undelivered record has waited; 0 where none does."""
        return 0.0 if self.oldest_at is None else max(0.0, (now - self.oldest_at).total_seconds())


@dataclass
class _Seen:
    """What waits behind `last` as far as it was looked at: up to `upto`, so many bytes, the oldest from `oldest_at`.

    `since` is when this process first saw it, by a clock that nobody sets.
    """

    last: str
    since: float
    upto: str = ""
    size_bytes: int = 0
    oldest_at: datetime | None = None


@dataclass(frozen=True)
class _Page:
    """Records as read; `lost` says how many before them retention took."""

    records: list[StoredRecord] = field(default_factory=list)
    lost: str = ""


class Delivery:
    """Delivers `stream` under the prefix of `spec` in `store`; `system` names it in errors.

    `max_age`: how long the oldest undelivered record waits at most.
    """

    def __init__(
        self,
        stream: Stream,
        store: ObjectStore,
        spec: StreamSpec,
        *,
        system: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = f"{system}/{spec.name}"
        self._stream = stream
        self._store = store
        self._prefix = spec.delivery.prefix
        self.max_age = timedelta(seconds=spec.delivery.max_age_s)
        self._max_bytes = int(spec.delivery.max_size_mib * 1024 * 1024)
        self._transform = load_transformation(spec.delivery.transform, where=self._what)
        self._positions = LandingPositions(stream, store, self._prefix)
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def deliver(self, now: datetime, until: datetime | None = None) -> list[Delivered]:
        """Write all that is due at `now`: full objects, and what has waited for `max_age_s`. What arrived later than `until`
        is left to who delivers it.

        A shard that was made from others waits until they are delivered: a key's records land in order.

        Raises:
            ConflictError: the landing objects are ahead of the stream (an older copy of it was restored, say).
                As with any error of one shard, the others were delivered.
        """
        done: list[Delivered] = []
        failed: PlatformError | None = None
        waiting: set[str] = set()
        for state in self._stream.shards():
            try:
                if waiting.isdisjoint(state.parents):
                    done += self._deliver(state, now, until)
                if not waiting.isdisjoint(state.parents) or self._positions.of(state) < state.newest:
                    waiting.add(state.shard)
            except PlatformError as error:
                waiting.add(state.shard)
                failed = failed or error
        if failed is not None:
            raise failed
        return done

    def pending(self) -> list[Pending]:
        """What waits, a shard at a time, also where another process delivers."""
        found = []
        for state in self._stream.shards():
            last = self._positions.of(state)
            if last < state.newest:
                last = self._positions.look_again(state.shard, last)
            page = self._read(state.shard, last, 1).records if last < state.newest else []
            found.append(Pending(state.shard, last, state.newest, page[0].arrived_at if page else None))
        return found

    def _deliver(self, state: ShardState, now: datetime, until: datetime | None) -> Iterator[Delivered]:
        while (last := self._positions.of(state)) < state.newest:
            due = self._due(state.shard, last, now, until)
            if not due:
                return
            upto = self._claim(state.shard, last, due)
            if self._positions.look_again(state.shard, last) == last:
                done = self._write(LandingRange(state.shard, last, upto))
                self._positions.advance(state.shard, upto)
                if done is not None:
                    yield done
            self._store.delete(claim_key(self._prefix, state.shard, last))

    def _due(self, shard: str, last: str, now: datetime, until: datetime | None) -> str:
        """The end of the range behind `last` to write now, or "". What waits is looked at once, however often this is asked."""
        seen = self._seen.get(shard)
        if seen is None or seen.last != last:
            seen = self._seen[shard] = _Seen(last, self._clock())
        while page := self._read(shard, seen.upto or last, PAGE).records:
            for record in page:
                if until is not None and record.arrived_at > until:
                    return seen.upto
                if seen.upto and seen.size_bytes + len(record.data) > self._max_bytes:
                    return seen.upto
                seen.oldest_at = seen.oldest_at or record.arrived_at
                seen.upto = record.sequence
                seen.size_bytes += len(record.data)
        waited = seen.oldest_at is not None and seen.oldest_at + self.max_age <= now
        # Where the clock was set back, the oldest came in the future.
        waited = waited or self._clock() - seen.since >= self.max_age.total_seconds()
        return seen.upto if waited or seen.size_bytes >= self._max_bytes else ""

    def _claim(self, shard: str, last: str, upto: str) -> str:
        """Settle the end of the range that starts at `last`: `upto`, or what another deliverer settled before."""
        key = claim_key(self._prefix, shard, last)
        while True:
            try:
                self._store.put(key, upto.encode(), if_absent=True)
            except ConflictError:
                pass
            else:
                return upto
            try:
                with self._store.open(key) as claim:
                    return claim.read().decode()
            except NotFoundError:
                continue

    def _write(self, wanted: LandingRange) -> Delivered | None:
        """Write the landing object; None where another deliverer has."""
        lines, filtered, unparsed, lost, after = [], 0, 0, [], wanted.last
        while after < wanted.upto:
            page = self._read(wanted.shard, after, PAGE)
            if page.lost:
                lost.append(page.lost)
                lines.append(lost_line(after, page.lost))
            elif not page.records:
                raise ConflictError(
                    f"{self._what}: shard '{wanted.shard}' ends before sequence {wanted.upto}, up to which delivery was "
                    "begun: this is another stream, or an older copy of it.",
                    next_step="Restore stream and objects from the same backup, or deliver under a new prefix.",
                )
            for record in page.records:
                if record.sequence <= wanted.upto:
                    line, kind = self._line(record)
                    lines.append(line)
                    filtered += kind == "filtered"
                    unparsed += kind == "unparsed"
            after = page.records[-1].sequence if page.records else wanted.upto
        key = landing_key(self._prefix, wanted.shard, wanted.last, wanted.upto)
        data = b"\n".join([*lines, b""])
        try:
            self._store.put(key, data, if_absent=True)
        except ConflictError:
            return None
        records = len(lines) - len(lost)
        return Delivered(
            wanted.shard, wanted.last, wanted.upto, key, records, filtered, unparsed, len(data), " ".join(lost)
        )

    def _line(self, record: StoredRecord) -> tuple[bytes, str]:
        """A record's line, and what it is. One that cannot be spliced keeps its own bytes, as they were before any transformation."""
        result = self._transform(record.data)
        if result.data is None:
            return filtered_line(record.name), "filtered"
        reason = result.error or unfit(result.data)
        if reason:
            return unparsed_line(record.name, record.data, reason), "unparsed"
        return spliced_line(record.name, result.data), "record"

    def _read(self, shard: str, after: str, limit: int) -> _Page:
        """Records behind `after`; where retention took some of them, those it left, and how many went.

        Raises:
            StateError: what is there does not lie behind `after`: who went on with it would fall back.
        """
        try:
            page = _Page(self._stream.read(shard, after=after, limit=limit))
        except StateError as error:
            page = _Page(self._stream.read(shard, limit=limit), error.message)
        if page.records and page.records[0].sequence <= after:
            raise StateError(
                f"{self._what}: of shard '{shard}' the records behind sequence {after} were asked for, and those from "
                f"{page.records[0].sequence} on came. {page.lost}".rstrip(),
                next_step="Nothing was delivered, and delivery is tried again. If it stays so, restart the worker; then "
                "compare the stream with the newest landing object of the shard.",
            )
        return page
