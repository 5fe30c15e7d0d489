"""How far each shard was delivered: the end of its newest landing object, found by names alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mlplatform.core.loads.landing import LandingRange, landing_position, parse_landing_key
from mlplatform.errors import StateError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.stream import ShardState, Stream


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
        """Bisection over the names: some thirty short listings for a thousand million records."""
        newest, low, high = "", 0, int(state.newest) + 1
        while low < high:
            middle = (low + high) // 2
            found = next(self._ranges(state.shard, f"{middle:0{len(state.newest)}d}"), None)
            if found is None:
                high = middle
            else:
                newest, low = found.upto, int(found.last or 0) + 1
        return newest

    def _ranges(self, shard: str, last: str) -> Iterator[LandingRange]:
        """Landing objects that start at `last` or later, in order."""
        for info in self._store.list(f"{self._prefix}{shard}/", after=landing_position(self._prefix, shard, last)):
            found = parse_landing_key(self._prefix, info.key)
            if found is not None:
                yield found
