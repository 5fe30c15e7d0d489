"""What was sent: remembered in the item store under the notification's key, so that each event is told once.

A process claims the key before it sends; a claim left by one that died may be taken over after `CLAIM`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from mlplatform.errors import ConflictError
from mlplatform.ports.item_store import ItemStore

SENT = "notifications"
CLAIM = timedelta(seconds=60)


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


class Sent:
    """The memory of what was sent, in `items`."""

    def __init__(self, items: ItemStore, now: Callable[[], datetime] = utc_now) -> None:
        self._items = items
        self._now = now

    def claim(self, key: str) -> bool:
        """Whether it is ours to send; not where it was sent, or another process is sending it."""
        found = self._items.get(SENT, key)
        if found is not None:
            age = self._now() - datetime.fromisoformat(found.value["at"])
            # A claim of the future is from before the clock was set back.
            if found.value["state"] == "sent" or abs(age) < CLAIM:
                return False
        claim = {"state": "sending", "at": self._now().isoformat()}
        try:
            self._items.put(SENT, key, claim, expected_version=0 if found is None else found.version)
        except ConflictError:
            return False
        return True

    def done(self, key: str) -> None:
        """It was sent."""
        self._items.put(SENT, key, {"state": "sent", "at": self._now().isoformat()})

    def let_go(self, key: str) -> None:
        """It was not sent, and may be at once."""
        self._items.delete(SENT, key)
