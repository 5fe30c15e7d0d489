"""One shard of a Kinesis stream: where it ends, and what lies behind a position.

Kinesis does not say where a shard ends: it is read to its end, from some seconds back at first and farther back while
nothing is found. One cursor stays there; another serves a reader who is far behind.

Nor does it say what retention took: where the record at a reader's position is gone, records behind it may be gone too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from mlplatform.adapters.stream.kinesis_api import KinesisApi, KinesisShardInfo
from mlplatform.adapters.stream.kinesis_cursor import OLDEST, KinesisCursor
from mlplatform.errors import ConflictError, DataError, StateError
from mlplatform.ports.stream import ShardState, StoredRecord

LOOK_BACK_S = (10, 300, 7_200, 172_800)
"""How far back the end of a shard is looked for, before all of it is read."""


class KinesisShard:
    """The shard `info` of a stream that keeps records for `retention`; `clock` is the machine's."""

    def __init__(
        self, api: KinesisApi, info: KinesisShardInfo, retention: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._api = api
        self._name = info.shard
        self._what = f"Shard '{info.shard}' of stream '{api.name}'"
        self._retention = retention
        self._clock = clock
        self._lock = threading.Lock()
        self._tail: KinesisCursor | None = None
        self._other: KinesisCursor | None = None
        self.info = info

    @property
    def ended(self) -> bool:
        """Whether the shard is closed, and was read to its end."""
        return self._tail is not None and self._tail.ended

    def state(self) -> ShardState:
        """The newest sequence as of now."""
        with self._lock:
            return ShardState(self._name, None, self._at_end().newest, None, self.info.parents)

    def read(self, after: str, limit: int) -> list[StoredRecord]:
        """At most `limit` records, and as many as one answer of Kinesis's holds; one at least where there is one."""
        self._check(after)
        with self._lock:
            self._forget()
            cursor = next((c for c in (self._tail, self._other) if c is not None and c.covers(after)), None)
            if cursor is None:
                cursor = self._other = self._placed(after)
            found, more = cursor.behind(after, limit), True
            while not found and more:
                more = cursor.extend()
                found = cursor.behind(after, limit)
            if not found and cursor.last and after > cursor.last:
                raise self._ahead(after, cursor.last)
            return found

    def _at_end(self) -> KinesisCursor:
        """The cursor at the end of the shard, read up to it."""
        self._forget()
        if self._tail is not None:
            _exhaust(self._tail)
            return self._tail
        whole = KinesisCursor(self._api, self._name, OLDEST)
        # What one answer holds, or what is new, has no end to be looked for.
        self._tail = self._looked_back() or whole if whole.extend() else whole
        _exhaust(self._tail)
        return self._tail

    def _looked_back(self) -> KinesisCursor | None:
        """A cursor not far from the end of the shard; None where all that is kept lies farther back."""
        now = self._clock()
        for back_s in LOOK_BACK_S:
            if timedelta(seconds=back_s) < self._retention:
                since = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": now - timedelta(seconds=back_s)}
                cursor = KinesisCursor(self._api, self._name, since)
                _exhaust(cursor)
                if cursor.newest:
                    return cursor
        return None

    def _placed(self, after: str) -> KinesisCursor:
        """A cursor behind `after`, whose own record still stands there."""
        if not after:
            return KinesisCursor(self._api, self._name, OLDEST)
        at = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
        cursor, known = KinesisCursor(self._api, self._name, at), True
        try:
            while cursor.extend() and not cursor.first:
                pass
        except DataError:
            # Kinesis refuses a sequence that is none of this shard's.
            known = False
        if cursor.first == after:
            return cursor
        end = self._at_end().last
        if end and after > end:
            raise self._ahead(after, end)
        if cursor.first or after < end:
            raise StateError(
                f"{self._what}: records behind sequence {after} were removed by retention, or may have been: the stream "
                f"keeps them for {self._retention / timedelta(hours=1):g} hours, and does not say how many are gone.",
                next_step="Read from the oldest kept (after=''), or lengthen the stream's retention.",
            )
        if not known:
            raise self._foreign(after)
        cursor.stand_at(after)
        return cursor

    def _forget(self) -> None:
        before = self._clock() - self._retention
        for cursor in (self._tail, self._other):
            if cursor is not None:
                cursor.forget(before)

    def _check(self, after: str) -> None:
        if after and not (after.isascii() and after.isdigit()):
            raise DataError(f"{self._what}: '{after}' is no sequence; expected digits.")
        if after and int(after) < int(self.info.starting):
            raise self._foreign(after)
        if after and self.info.ending and int(after) > int(self.info.ending):
            raise self._ahead(after, self.info.ending)

    def _ahead(self, after: str, end: str) -> ConflictError:
        return ConflictError(
            f"{self._what} ends at sequence {end}, and a reader stands at {after}: this is another stream, or an older "
            "copy of it.",
            next_step="Deliver under a new prefix, or read the stream that was read before.",
        )

    def _foreign(self, after: str) -> ConflictError:
        return ConflictError(
            f"{self._what} begins at sequence {self.info.starting}, and a reader stands at {after}: this is another stream, "
            "one that was deleted and made again, say.",
            next_step="Deliver under a new prefix, or read the stream that was read before.",
        )


def _exhaust(cursor: KinesisCursor) -> None:
    while cursor.extend():
        pass
