"""How far each shard was delivered: the end of its newest landing object, found by names alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice

from mlplatform.core.loads.landing import LandingRange, landing_position, parse_landing_key
from mlplatform.errors import StateError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.stream import ShardState, Stream

_SOME = 100


class LandingPositions:
    """Positions of `stream` under `prefix` of `store`, as far as this process knows them."""

    def __init__(self, stream: Stream, store: ObjectStore, prefix: str) -> None:
        self._stream = stream
        self._store = store
        self._prefix = prefix
        self._known: dict[str, str] = {}

    def of(self, state: ShardState) -> str:
        """The position of a shard; "" before its first landing object, and while it is empty and not yet known.

        Raises:
            ConflictError: the landing objects are ahead of the stream.
        """
        if state.shard not in self._known and state.newest:
            position = self._seek(state)
            if position > state.newest:
                # Another deliverer has been here since, or the stream is not the one that was delivered: ask it.
                with contextlib.suppress(StateError):
                    self._stream.read(state.shard, after=position, limit=1)
            self._known[state.shard] = position
        return self._known.get(state.shard, "")

    def advance(self, shard: str, upto: str) -> None:
        """This process has written up to `upto`."""
        self._known[shard] = upto

    def look_again(self, shard: str, last: str) -> str:
        """The position, with what others have written behind `last` by now."""
        for found in self._ranges(shard, last):
            self._known[shard] = found.upto
        return self._known.get(shard, "")

    def _seek(self, state: ShardState) -> str:
        """Bisection over the names, until what is left is one short listing: some ten for a million objects, however far
        apart their sequences are."""
        page = self._some(state.shard, "")
        if not page:
            return ""
        newest, low, high = page[-1].upto, int(page[-1].last or 0) + 1, int(state.newest) + 1
        width = len(state.newest)
        while low < high and not 0 < len(page) < _SOME:
            middle = (low + high) // 2
            page = self._some(state.shard, f"{middle:0{width}d}")
            if not page:
                # Perhaps because all lies nearby, or nothing does.
                high, page = middle, self._some(state.shard, f"{low:0{width}d}")
            if not page:
                break
            newest, low = page[-1].upto, int(page[-1].last) + 1
        return newest

    def _some(self, shard: str, last: str) -> list[LandingRange]:
        """The first `_SOME` landing objects that start at `last` or later."""
        return list(islice(self._ranges(shard, last), _SOME))

    def _ranges(self, shard: str, last: str) -> Iterator[LandingRange]:
        """Landing objects that start at `last` or later, in order."""
        for info in self._store.list(f"{self._prefix}{shard}/", after=landing_position(self._prefix, shard, last)):
            found = parse_landing_key(self._prefix, info.key)
            if found is not None:
                yield found
