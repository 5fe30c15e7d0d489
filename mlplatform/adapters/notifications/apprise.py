"""Apprise: one library for a hundred services (https://appriseit.com/services/), each named by a URL.

A URL holds the service's credentials, so targets are names of secrets, and neither URLs nor what the library logs are
ever shown. Two targets are always there: a file of JSON lines, and standard error.

What was sent is remembered in the item store (`Sent`). What a target did not take waits there with the names of the
targets still missing, and is tried again with the next notification.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mlplatform.adapters.notifications.sent import Sent, utc_now
from mlplatform.errors import PlatformError, UnavailableError
from mlplatform.ports.item_store import ItemStore
from mlplatform.ports.notifications import Kind, Notification
from mlplatform.ports.secrets import Secrets

log = logging.getLogger(__name__)

WAITING = "notifications_waiting"
MAX_RETRIED = 20
"""Waiting notifications tried again with one call at most."""
FILE = "file"
CONSOLE = "console"
_TYPES: dict[Kind, str] = {
    "success": "success",
    "gate_failed": "warning",
    "drift": "warning",
    "failure": "failure",
    "info": "info",
}


class AppriseSettings(BaseModel):
    """A connection's settings, as a profile writes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: tuple[str, ...] = Field(
        default=(), description="Names of secrets that hold Apprise URLs; a file and the log are told always."
    )


class AppriseNotifications:
    """Implements `ports.notifications.Notifications`.

    Args:
        log: the file of JSON lines, made on first use.
        targets: names of secrets that hold Apprise URLs.
        console: whether standard error is a target.
    """

    def __init__(
        self,
        items: ItemStore,
        secrets: Secrets,
        *,
        log: Path,
        targets: Sequence[str] = (),
        console: bool = True,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._items = items
        self._secrets = secrets
        self._log = log
        self._targets = (FILE, *((CONSOLE,) if console else ()), *targets)
        self._now = now
        self._sent = Sent(items, now)

    def send(self, notification: Notification) -> bool:
        """See the port."""
        if not self._sent.claim(notification.key):
            return False
        self._retry_waiting()
        missing = self._deliver(notification, self._targets)
        if len(missing) == len(self._targets):
            self._sent.let_go(notification.key)
            raise UnavailableError(
                f"Notification '{notification.key}' reached none of: {', '.join(self._targets)}.",
                next_step="See the log for each target's reason.",
            )
        if missing:
            self._items.put(WAITING, notification.key, {"notification": asdict(notification), "missing": missing})
        self._sent.done(notification.key)
        return True

    def _retry_waiting(self) -> None:
        for item in list(self._items.list(WAITING, limit=MAX_RETRIED)):
            missing = self._deliver(Notification(**item.value["notification"]), item.value["missing"])
            if missing:
                self._items.put(WAITING, item.key, {**item.value, "missing": missing})
            else:
                self._items.delete(WAITING, item.key)

    def _deliver(self, notification: Notification, targets: Sequence[str]) -> list[str]:
        """Send to each of `targets`; those that did not take it."""
        missing = []
        for target in targets:
            try:
                self._send_to(target, notification)
            except (PlatformError, OSError) as error:
                log.warning("notification '%s' did not reach target '%s': %s", notification.key, target, error)
                missing.append(target)
        return missing

    def _send_to(self, target: str, notification: Notification) -> None:
        if target == FILE:
            self._write(notification)
        elif target == CONSOLE:
            print(f"[{notification.kind}] {notification.title}\n{notification.body}", file=sys.stderr)
        else:
            self._send_url(target, notification)

    def _write(self, notification: Notification) -> None:
        line = json.dumps({"at": self._now().isoformat(), **asdict(notification)}, ensure_ascii=False)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode() + b"\n")
        finally:
            os.close(descriptor)

    def _send_url(self, target: str, notification: Notification) -> None:
        service = _service(self._secrets.get(target).get_secret_value())
        if service is None:
            raise UnavailableError(f"the URL in secret '{target}' names no service that Apprise knows.")
        # Apprise refuses an empty body.
        body = notification.body or notification.title
        if not service.notify(title=notification.title, body=body, notify_type=_TYPES[notification.kind]):
            raise UnavailableError(f"the service in secret '{target}' did not take it.")


def _service(url: str) -> Any:
    """The client of `url`, or None where Apprise knows none; its own log is off, for it shows URLs."""
    with warnings.catch_warnings():
        # Some of its plug-ins, all imported with the first URL, use modules of Python's that are deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        logging.getLogger("apprise").disabled = True
        client = apprise.Apprise()
        return client if client.add(url) else None
