"""What lies in the object store for a table: objects under its prefixes, and its streams' delivered ranges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlplatform.core.loads.landing import LandingRange, landing_key, landing_position, lost_line, parse_landing_key
from mlplatform.core.loads.plan import Format
from mlplatform.errors import StateError
from mlplatform.ports.object_store import ObjectInfo, ObjectStore
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import SourceSpec
from mlplatform.stations.inbox import Inbox, Round

VANISHED_S = 60.0
"""After so long, what a notice told of and is not there was deleted."""
_BEHIND = "\U0010ffff"
"""Sorts behind every key that continues a folder's name."""


@dataclass(frozen=True)
class Arrival:
    """An object under a prefix; `format` is None where no source of the table wants it."""

    info: ObjectInfo
    format: Format | None


class Prefix:
    """Objects under one prefix, with the sources that share it. Landing objects of the table's streams are none of them.

    Without notices, the first look goes over all; a later one over what sorts behind the last key known, and over one page
    of the rest in turn, so that a look costs the same however many objects were loaded before. With them, a look goes over
    what they tell of, and now and then over a page.
    """

    def __init__(self, prefix: str, sources: list[SourceSpec], inner: list[str], landing: list[str]) -> None:
        self.prefix = prefix
        self._settled: set[str] = set()
        self._told: dict[str, str] = {}
        self._page: tuple[Round, str, set[str]] | None = None
        self._was_due = False
        self._sources = sources
        self._inner = inner
        self._landing = landing
        self._newest = ""
        self._cursor: str | None = None

    def look(self, store: ObjectStore, *, page: int) -> Iterator[Arrival]:
        """New and old objects, each once: all at first, then the newest and a page."""
        if self._cursor is None:
            yield from self._walk(store, "", None)
            self._cursor = ""
            return
        newest, start = self._newest, self._cursor
        seen = 0
        last = ""
        for arrival in self._walk(store, start, newest):
            yield arrival
            last = arrival.info.key
            seen += 1
            if seen == page:
                break
        self._cursor = last if seen == page else ""
        yield from self._walk(store, newest, None)

    def begin(self) -> None:
        """A look begins; it may end before it comes to this prefix, and an earlier one's settles nothing then."""
        self._told, self._page = {}, None

    def noticed(self, store: ObjectStore, inbox: Inbox, *, consumer: str, page: int, now: float) -> Iterator[Arrival]:
        """What notices tell of that was not `settle`d, and a page of the listing where it is due."""
        hints = [h for h in inbox.hints(self.prefix) if self._foreign_folder(h.notice.key) is None]
        self._settled &= {h.name for h in hints}
        there: dict[str, bool] = {}
        for hint in hints:
            key = hint.notice.key
            if hint.name in self._settled:
                continue
            if key not in there:
                info = store.head(key)
                there[key] = info is not None
                if info is not None:
                    yield Arrival(info, self._format(key))
            if there[key] or now - hint.told_at >= VANISHED_S:
                self._told[hint.name] = key
        found = inbox.round(f"{consumer}:{self.prefix}")
        if inbox.is_due(found):
            last, seen = "", set[str]()
            for arrival in self._walk(store, found.after, None):
                last = arrival.info.key
                seen.add(last)
                if last not in there:
                    yield arrival
                if len(seen) == page:
                    break
            self._page = found, last if len(seen) == page else "", seen

    def settle(self, inbox: Inbox, *, consumer: str, due: set[str]) -> None:
        """After all of `noticed` was looked at: what is not among the keys `due` needs no second look."""
        self._settled |= {name for name, key in self._told.items() if key not in due}
        if self._page is not None:
            found, last, seen = self._page
            is_due = not due.isdisjoint(seen)
            if not is_due:
                # A page in which something was due is looked at again; its last look finds nothing.
                inbox.advance(f"{consumer}:{self.prefix}", found, after=last, busy=self._was_due)
            self._was_due = is_due

    def _walk(self, store: ObjectStore, after: str, upto: str | None) -> Iterator[Arrival]:
        while True:
            for info in store.list(self.prefix, after=after):
                if upto is not None and info.key > upto:
                    return
                skip = self._foreign_folder(info.key)
                if skip is not None:
                    after = skip
                    break
                self._newest = max(self._newest, info.key)
                if not info.key.endswith("/"):
                    yield Arrival(info, self._format(info.key))
            else:
                return

    def _foreign_folder(self, key: str) -> str | None:
        """Where to go on behind a folder that is another source's: a shard's landing objects, or an inner prefix."""
        for landing in self._landing:
            found = parse_landing_key(landing, key)
            if found is not None:
                return f"{landing}{found.shard}/{_BEHIND}"
        return next((f"{inner}{_BEHIND}" for inner in self._inner if key.startswith(inner)), None)

    def _format(self, key: str) -> Format | None:
        for source in self._sources:
            if key.endswith((source.suffix, f"{source.suffix}.gz")):
                return source.format.format()
        return None

    @property
    def suffixes(self) -> str:
        """The suffixes of its sources, for people."""
        return ", ".join(source.suffix or "any" for source in self._sources)


class Landing:
    """Whether the landing objects under `prefix` are to be listed: notices told of some, or none did for a while."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._listed: tuple[set[str], float] | None = None
        self._settled: set[str] = set()
        self._settled_at = -math.inf

    def is_due(self, inbox: Inbox, clock: float) -> bool:
        """Whether they are; who asks goes on to list them."""
        told = {hint.name for hint in inbox.hints(self._prefix)}
        due = not told <= self._settled or clock - self._settled_at >= inbox.page_s
        self._listed = (told, clock) if due else None
        return due

    def settle(self) -> None:
        """What was listed has nothing that is due by now."""
        if self._listed is not None:
            self._settled, self._settled_at = self._listed


def prefixes(sources: list[SourceSpec], streams: Mapping[str, StreamSpec]) -> list[Prefix]:
    """One `Prefix` for each that the sources name."""
    landing = [streams[s.stream].delivery.prefix for s in sources if s.stream]
    names = sorted({s.prefix for s in sources if s.prefix is not None})
    return [
        Prefix(
            name,
            [s for s in sources if s.prefix == name],
            [other for other in names if other != name and other.startswith(name)],
            landing,
        )
        for name in names
    ]


def shards(store: ObjectStore, prefix: str) -> Iterator[str]:
    """Shards that have landing objects under `prefix`, by one short listing each."""
    after = ""
    while True:
        for info in store.list(prefix, after=after):
            folder, slash, _ = info.key.removeprefix(prefix).partition("/")
            if not slash:
                continue
            found = parse_landing_key(prefix, info.key)
            if found is not None:
                yield found.shard
                after = f"{prefix}{found.shard}/{_BEHIND}"
            else:
                after = f"{prefix}{folder}/{_BEHIND}"
            break
        else:
            return


def ranges(
    store: ObjectStore, prefix: str, shard: str, *, position: str, newest_key: str | None
) -> Iterator[tuple[LandingRange, ObjectInfo]]:
    """Delivered ranges of `shard` that hold records behind `position`, in order; `newest_key` was loaded last.

    Listing starts at the range loaded last, so that one that overlaps it is seen.

    Raises:
        StateError: records between two ranges are in no landing object; or the one loaded last is gone, and another holds
            sequences that were loaded from it.
    """
    loaded = parse_landing_key(prefix, newest_key) if newest_key else None
    after = landing_position(prefix, shard, loaded.last if loaded else "")
    for found, info in _listed(store, prefix, shard, after):
        if newest_key and loaded and found.last < position and found != loaded and store.head(newest_key) is None:
            raise _other_records(shard, position, newest_key, info.key)
        if found.upto <= position:
            continue
        if position and found.last > position:
            for earlier, covering in _listed(store, prefix, shard, landing_position(prefix, shard, "")):
                if earlier.last <= position < earlier.upto:
                    yield earlier, covering
                    position = earlier.upto
                if earlier.last >= found.last:
                    break
            if found.last > position:
                raise StateError(
                    f"Records of shard '{shard}' behind {position} up to {found.last} are in no landing object under "
                    f"'{prefix}'; the next one is '{info.key}'.",
                    next_step=_bring_back(prefix, shard, position, found.last),
                )
            if found.upto <= position:
                continue
        yield found, info
        position = found.upto


def _other_records(shard: str, position: str, loaded: str, found: str) -> StateError:
    """Skipped as loaded, the records of an older copy of the stream that goes on under the same sequences would be lost."""
    return StateError(
        f"Shard '{shard}' was loaded up to {position}, the last time from '{loaded}', which is gone; '{found}' holds "
        "sequences up to there too. Stream and landing objects are older than the table, or that object was deleted.",
        next_step="Restore warehouse, objects and stream from the same backup. If the stream is the one that was loaded, "
        f"put an empty object back as '{loaded}': loading goes on behind {position}.",
    )


def _bring_back(prefix: str, shard: str, last: str, upto: str) -> str:
    line = lost_line(last, f"the landing object of the records behind {last} up to {upto} is lost").decode()
    return (
        f"Put the missing object back, whole or in parts, as '{landing_key(prefix, shard, last, upto)}'; nothing behind it "
        f"is loaded before. If it is gone for good, put one line there instead: {line} (it goes to the quarantine, as "
        "evidence), and the records behind it load."
    )


def _listed(store: ObjectStore, prefix: str, shard: str, after: str) -> Iterator[tuple[LandingRange, ObjectInfo]]:
    for info in store.list(f"{prefix}{shard}/", after=after):
        found = parse_landing_key(prefix, info.key)
        if found is not None and found.shard == shard:
            yield found, info
