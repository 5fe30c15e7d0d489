"""The log of commits in an object store: read up to its end, and written at the next position or not at all."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from mlplatform.adapters.warehouse.hive_log import Entry, State
from mlplatform.errors import ConflictError, NotFoundError, StateError, TransientError
from mlplatform.ports.object_store import ObjectStore

ATTEMPTS = 30
CHECKPOINT_EVERY = 64
"""Commits between two checkpoints; each is the whole state, so that reading starts at the newest."""

_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0
_STATE = ".state.json"


def entry_id() -> str:
    """A new commit's own mark."""
    return secrets.token_hex(8)


class HiveCommits:
    """The log below `prefix`. What was read is kept: reading on costs one listing and the new commits."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._state = State()

    def state(self, *, afresh: bool = False) -> State:
        """The state at the log's end. `afresh`: from the newest checkpoint on, whatever was read before."""
        start = State() if afresh else self._state
        for _ in range(ATTEMPTS):
            # What clean-up takes while it is read has a newer checkpoint behind it.
            with suppress(NotFoundError):
                found = self._read_on(start)
                if found is not None:
                    self._state = found
                    return found
                start = self._newest_checkpoint()
        raise StateError(
            f"The log '{self._prefix}' lists objects that cannot be opened.",
            next_step="Restore them from the store's versions or a backup.",
        )

    def commit(self, make: Callable[[State], Entry | None], subject: str) -> State:
        """Commits what `make` makes of the state at the log's end, as often as others come first; the state then.

        `make` returning None: there is nothing to commit.

        Raises:
            TransientError: lost the race too often; nothing was changed.
        """
        for number in range(ATTEMPTS):
            before = self.state()
            entry = make(before)
            if entry is None:
                return before
            if self._put(before.position + 1, entry):
                self._checkpoint()
                return self._state
            time.sleep(random.uniform(0.2, 1) * min(_PAUSE_S * (number + 1), _LONGEST_PAUSE_S))  # noqa: S311
        raise TransientError(f"{subject}: lost the race with other commits {ATTEMPTS} times.", next_step="Try again.")

    def clean(self, *, now: datetime, keep: timedelta) -> int:
        """Deletes commits and checkpoints before the newest checkpoint that are older than `keep`; how many."""
        newest = self._newest_checkpoint().position
        old = [
            info.key
            for info in self._store.list(self._prefix)
            if (self._position(info.key) < newest or not info.key.endswith(_STATE))
            and self._position(info.key) <= newest
            and info.modified <= now - keep
        ]
        for key in old:
            self._store.delete(key)
        return len(old)

    def checkpoint(self) -> None:
        """Writes the state at the log's end down whole."""
        state = self.state()
        try:
            self._store.put(self._key(state.position, _STATE), state.to_json(), if_absent=True)
        except ConflictError:
            return  # Another process wrote the same.

    def _put(self, position: int, entry: Entry) -> bool:
        """Whether `entry` is the commit at `position`."""
        key, data = self._key(position), entry.to_json()
        try:
            self._store.put(key, data, if_absent=True)
        except ConflictError:
            # An answer that got lost on its way may have been a yes.
            if self._id_at(key) != entry.id:
                return False
        # One that slept while its position was taken, written down and cleaned up has put what nobody reads.
        if self._newest_checkpoint(after=position - 1).position >= position:
            return self.state(afresh=True).entry_id == entry.id
        self._state = self._state.with_entry(Entry.from_json(data))
        return True

    def _id_at(self, key: str) -> str:
        try:
            with self._store.open(key) as file:
                return Entry.from_json(file.read()).id
        except NotFoundError:
            return ""

    def _checkpoint(self) -> None:
        if self._state.position % CHECKPOINT_EVERY == 0:
            self.checkpoint()

    def _read_on(self, state: State) -> State | None:
        """`state` and the commits behind it; None where a checkpoint was made since: what lies before one may be cleaned
        up, and what lies at a place that was may be of one who slept."""
        found = list(self._store.list(self._prefix, after=self._key(state.position, _STATE)))
        if any(info.key.endswith(_STATE) for info in found):
            return None
        for info in found:
            if self._position(info.key) != state.position + 1:
                raise StateError(
                    f"The log '{self._prefix}' goes from commit {state.position} to {self._position(info.key)}: one in "
                    "between is gone.",
                    next_step="Restore the object from the store's versions or a backup.",
                )
            with self._store.open(info.key) as file:
                state = state.with_entry(Entry.from_json(file.read()))
        return state

    def _newest_checkpoint(self, *, after: int = 0) -> State:
        keys = [i.key for i in self._store.list(self._prefix, after=self._key(after)) if i.key.endswith(_STATE)]
        if not keys:
            return State()
        with self._store.open(keys[-1]) as file:
            return State.from_json(file.read())

    def _key(self, position: int, suffix: str = ".json") -> str:
        return f"{self._prefix}{position:020d}{suffix}"

    def _position(self, key: str) -> int:
        return int(key[len(self._prefix) :].partition(".")[0])
