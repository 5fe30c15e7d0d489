"""Clients of the storm: one keep-alive connection each, every call under a request id of its own until it is answered."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

ANSWER_S = 30.0
"""A call that hears nothing for so long hangs."""
PATIENCE_S = 90.0
"""A request that no retry brought an answer in so long is lost."""
PACE_S = 0.02
NOT_NOW = (429, 503, 504)
"""What may be sent again under its request id, after the seconds that the answer says; as may what follows."""
BROKEN = (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


@dataclass
class Callers:
    """Runs until `stop`. `answered`: request id → generations that answered it; `wrong`: what no client may ever see."""

    url: str
    token: str
    seed: int
    count: int = 2
    answered: dict[str, int] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._call, args=(n,)) for n in range(self.count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each get its last answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, number: int) -> None:
        rng = random.Random(f"{self.seed}-{number}")
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        headers = {"authorization": f"Bearer {self.token}"}
        made = 0
        with httpx.Client(headers=headers, limits=limits, timeout=ANSWER_S, trust_env=False) as client:
            while not self._stop.wait(PACE_S):
                made += 1
                row = {"ticker_symbol": "AAPL", "sector": "Information Technology", "change": rng.gauss(0, 1)}
                self._until_answered(client, f"storm-{number}-{made}", row)

    def _until_answered(self, client: httpx.Client, request_id: str, row: dict[str, object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                answer = client.post(self.url, json=row, headers={"x-request-id": request_id})
            except httpx.TimeoutException as error:
                self.wrong.append(f"{request_id}: no answer in {ANSWER_S:g} s: {error!r}")
                continue
            except BROKEN as error:
                self.seen[type(error).__name__] += 1
            else:
                self.seen[str(answer.status_code)] += 1
                if answer.status_code == 200:
                    self._check(request_id, answer)
                    return
                if answer.status_code not in NOT_NOW or "retry-after" not in answer.headers:
                    self.wrong.append(f"{request_id}: {answer.status_code} {answer.headers}: {answer.text}")
                    return
            time.sleep(0.1)
        self.wrong.append(f"{request_id}: not answered in {PATIENCE_S:g} s")

    def _check(self, request_id: str, answer: httpx.Response) -> None:
        body = answer.json()
        (prediction,) = body["predictions"]
        generation = body["model"]["generation"]
        if not math.isfinite(prediction["price"]) or answer.headers["x-request-id"] != request_id:
            self.wrong.append(f"{request_id}: {answer.headers} {answer.text}")
        self.answered[request_id] = generation
