"""Clients that call without pause, on one keep-alive connection each, and never retry."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

import httpx

from mlplatform_tests.gateway.site import ROW


@dataclass(frozen=True)
class Call:
    """One answered call: what generation, version and price it named, and when it began and ended."""

    generation: int
    version: int
    price: float
    began: float
    ended: float


@dataclass
class Callers:
    """Runs while the block does; `failed` holds every call that was not answered with 200."""

    url: str
    token: str
    clients: int = 8
    calls: list[Call] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Callers:
        self._threads = [threading.Thread(target=self._call) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        headers = {"authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=self.url, headers=headers, limits=limits, timeout=60) as client:
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    answer = client.post("/predict/prices", json=ROW)
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                    continue
                if answer.status_code != 200:
                    self.failed.append(f"{answer.status_code}: {answer.text}")
                    continue
                body = answer.json()
                model = body["model"]
                price = body["predictions"][0]["price"]
                self.calls.append(Call(model["generation"], model["version"], price, began, time.monotonic()))
                # A caller that never pauses would only measure this interpreter's own lock.
                time.sleep(0.002)
