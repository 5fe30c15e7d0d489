"""Waiting with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(what: Callable[[], object], *, timeout_s: float = 90.0) -> None:
    """Wait until `what()` is true."""
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
