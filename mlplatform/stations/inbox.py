"""Notices of arrivals, kept where every process of the installation sees them: a queue gives each to one process only.

What a queue gave goes into a log in the item store before the queue forgets it, and stays there for `KEPT_S`. A consumer
(a table) takes what it has not seen. A notice is a hint: the object is looked at, and the ledger says what is to be done.
So one that comes twice or late does nothing; for one that never comes, a listing goes round, a page at a time.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mlplatform.errors import ConflictError, PlatformError
from mlplatform.ports.arrivals import Arrivals, Notice
from mlplatform.ports.item_store import ItemStore

log = logging.getLogger(__name__)

LOG = "arrivals"
ROUNDS = "arrivals_rounds"
KEPT_S = 3600.0
OVERLAP_S = 60.0
"""A process whose clock is behind writes into what others have read by so much at most."""
_PER_ITEM = 100


@dataclass(frozen=True)
class Hint:
    """A notice as it stands in the log."""

    name: str
    notice: Notice
    told_at: float


@dataclass(frozen=True)
class Round:
    """Where the listing of a prefix stands: it goes on behind `after` from `due_at` on."""

    after: str = ""
    due_at: float = 0.0
    version: int = 0


class Inbox:
    """The log of one installation, as one process reads it."""

    def __init__(
        self,
        arrivals: Arrivals,
        items: ItemStore,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._arrivals = arrivals
        self._items = items
        self._clock = clock
        self._now = now
        self._polled_at: float | None = None
        self._works = True
        self._hints: dict[str, Hint] = {}

    @property
    def page_s(self) -> float:
        """Seconds between two pages of the listing."""
        return self._arrivals.page_s

    def pull(self) -> bool:
        """Take what the queue has, where it is time to; whether notices can be had at all."""
        if self._polled_at is not None and self._clock() - self._polled_at < self._arrivals.poll_s:
            return self._works
        self._polled_at = self._clock()
        try:
            self._take()
        except PlatformError as error:
            if self._works:
                log.warning("no notices of arrivals, objects are listed until there are again: %s", error)
            self._works = False
            return False
        if not self._works:
            log.info("notices of arrivals come again")
        self._works = True
        self._read()
        return True

    def hints(self, prefix: str) -> Iterable[Hint]:
        """All of the last hour on objects under `prefix`, by time."""
        return [hint for hint in self._hints.values() if hint.notice.key.startswith(prefix)]

    def round(self, consumer: str) -> Round:
        """Where a consumer's listing stands."""
        item = self._items.get(ROUNDS, consumer)
        return Round() if item is None else Round(str(item.value["after"]), float(item.value["due_at"]), item.version)

    def advance(self, consumer: str, behind: Round, *, after: str, busy: bool) -> None:
        """The page behind `behind` is done; the next one is due soon, at once where this one was `busy`."""
        due_at = self._now() + (0.0 if busy else self.page_s)
        try:
            self._items.put(ROUNDS, consumer, {"after": after, "due_at": due_at}, expected_version=behind.version)
        except ConflictError:
            return  # another process has gone on

    def is_due(self, found: Round) -> bool:
        """Whether the next page is to be listed; also where its time lies farther ahead than a clock that was right would say."""
        return not 0 < found.due_at - self._now() <= self.page_s

    def close(self) -> None:
        """Give back what the queue's adapter holds open."""
        self._arrivals.close()

    def _take(self) -> None:
        found = self._arrivals.receive()
        for start in range(0, len(found.notices), _PER_ITEM):
            told = [[n.key, n.etag] for n in found.notices[start : start + _PER_ITEM]]
            name = f"{int(self._now() * 1000):015d}-{uuid.uuid4().hex[:12]}"
            self._items.put(LOG, name, {"told": told})
        self._arrivals.done(found.receipts)

    def _read(self) -> None:
        """What was added to the log, by whomever; and what is too old goes."""
        newest = max(self._hints, default="").partition("-")[0]
        now = self._now()
        oldest = now - KEPT_S
        # What a clock that is ahead wrote is no reason to miss what others write meanwhile.
        after = max(oldest, min(int(newest) / 1000, now) - OVERLAP_S) if newest else oldest
        for item in self._items.list(LOG, after=f"{int(after * 1000):015d}"):
            told_at = int(item.key.partition("-")[0]) / 1000
            for number, (key, etag) in enumerate(item.value["told"]):
                name = f"{item.key}/{number:03d}"
                self._hints.setdefault(name, Hint(name, Notice(key, etag), told_at))
        for name in [name for name, hint in self._hints.items() if hint.told_at < oldest]:
            del self._hints[name]
        # Some at a time, by whoever looks: nobody waits for it.
        for item in self._items.list(LOG, limit=20):
            if int(item.key.partition("-")[0]) / 1000 >= oldest:
                break
            self._items.delete(LOG, item.key)
