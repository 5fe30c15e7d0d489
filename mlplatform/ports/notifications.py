"""Notifications: tell people, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["success", "gate_failed", "drift", "failure", "info"]


@dataclass(frozen=True)
class Notification:
    """`key` identifies the event: a second one with the same key is not sent again."""

    key: str
    kind: Kind
    system: str
    title: str
    body: str


class Notifications(Protocol):
    """Apprise's or SNS's role."""

    def send(self, notification: Notification) -> bool:
        """Deliver to every target; False where it was sent before. A target that fails is logged and tried next time.

        Raises:
            UnavailableError: no target took it.
        """
        ...
