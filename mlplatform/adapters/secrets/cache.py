"""Secrets kept in memory for a while: a service that is paid by the call is not asked for every use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pydantic import SecretStr


class SecretCache:
    """What `read` gave, by name, for `kept_s` seconds by `clock`; an error is not kept."""

    def __init__(
        self, read: Callable[[str], SecretStr], *, kept_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._kept_s = kept_s
        self._clock = clock
        self._found: dict[str, tuple[float, SecretStr]] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> SecretStr:
        """The secret called `name`, read anew where it was read longer ago."""
        with self._lock:
            read_at, value = self._found.get(name, (0.0, None))
            if value is None or self._clock() - read_at >= self._kept_s:
                self._found.pop(name, None)
                read_at, value = self._clock(), self._read(name)
                self._found[name] = (read_at, value)
            return value
