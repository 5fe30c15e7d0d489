"""What goes wrong on purpose, asked for by a test: refused and slow calls, a limit on their rate, and misfortunes by name.

A misfortune (`expect`) is something an operation looks for itself (``capacity``: the next job finds no machine).
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError

EVERY = "*"
"""Stands for every operation."""


@dataclass
class Faults:
    """Of one account. `calls`: every operation asked, in order; a retry is a call of its own."""

    calls: list[str] = field(default_factory=list)
    _waiting: list[dict[str, Any]] = field(default_factory=list)
    _least_s: dict[str, float] = field(default_factory=dict)
    _last: dict[str, float] = field(default_factory=dict)
    _expected: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refuse(
        self, operation: str, code: str, *, status: int = 400, times: int = 1, message: str = "as the test says"
    ) -> None:
        """Answer the next `times` calls with an error."""
        self._waiting.append({"on": operation, "times": times, "code": code, "status": status, "message": message})

    def slow(self, operation: str, seconds: float, *, times: int = 1) -> None:
        """Answer the next `times` calls after so long."""
        self._waiting.append({"on": operation, "times": times, "seconds": seconds})

    def limit(self, operation: str, per_s: float) -> None:
        """Throttle what comes faster."""
        self._least_s[operation] = 1 / per_s

    def expect(self, misfortune: str, *, times: int = 1) -> None:
        """Let it happen the next `times` that something looks for it."""
        self._expected += [misfortune] * times

    def takes(self, misfortune: str) -> bool:
        """Whether it happens now; it is used up by that."""
        with self._lock:
            if misfortune not in self._expected:
                return False
            self._expected.remove(misfortune)
            return True

    def expects(self, misfortune: str) -> bool:
        """Whether it is there; it stays."""
        with self._lock:
            return misfortune in self._expected

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._waiting.clear()
            self._least_s.clear()
            self._expected.clear()

    def meet(self, operation: str) -> None:
        """Note the call, and let happen to it what is to happen. Raises AwsRefusedError."""
        with self._lock:
            self.calls.append(operation)
            now = time.monotonic()
            if now - self._last.get(operation, -math.inf) < self._least_s.get(operation, 0.0):
                raise AwsRefusedError("ThrottlingException", "Rate exceeded")
            self._last[operation] = now
            fault = next((f for f in self._waiting if f["on"] in (operation, EVERY) and f["times"]), None)
            if fault is None:
                return
            fault["times"] -= 1
        time.sleep(fault.get("seconds", 0.0))
        if "code" in fault:
            raise AwsRefusedError(fault["code"], fault["message"], fault["status"])
