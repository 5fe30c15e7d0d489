"""Clients that keep calling the endpoint over kept-alive connections, without retries, and count what they get."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

PAUSE_S = 0.02


@dataclass
class Clients:
    """`count` threads that call ``POST {url}`` with one row until stopped."""

    url: str
    token: str
    row: dict[str, object]
    count: int = 2
    answered: Counter[int] = field(default_factory=Counter)
    """Answers by generation."""
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Begin to call."""
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(self.count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the calls under way and end."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)

    @property
    def calls(self) -> int:
        return sum(self.answered.values()) + len(self.failed)

    def _call(self) -> None:
        headers = {"authorization": f"Bearer {self.token}"}
        with httpx.Client(headers=headers, timeout=30) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(self.url, json={"instances": [self.row]})
                    answer.raise_for_status()
                    generation = int(answer.json()["model"]["generation"])
                except (httpx.HTTPError, KeyError, ValueError) as error:
                    with self._lock:
                        self.failed.append(f"{type(error).__name__}: {error}")
                else:
                    with self._lock:
                        self.answered[generation] += 1
                time.sleep(PAUSE_S)
