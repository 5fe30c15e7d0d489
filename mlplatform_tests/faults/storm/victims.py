"""Who is killed, and how such a process is told apart from the others of the home."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from mlplatform_tests.faults.storm.installation import Installation

MARKS = {
    "supervisor": ("mlplatform.cli.main serve",),
    "worker": ("mlplatform.worker.main",),
    "gateway worker": ("mlplatform.gateway.main",),
    "dagster daemon": ("dagster-daemon run", "dagster._daemon"),
    "dagster dev": ("bin/dagster dev",),
    "webserver": ("dagster_webserver",),
    "code server": ("dagster api grpc",),
    "tracker": ("mlflow",),
    "run": ("multiprocessing.spawn", "faults.walk"),
    "job": ("mlplatform.entrypoints",),
    "model process": ("scorer.py",),
    "operator": ("faults.storm.operating",),
    "producer": ("faults.storm.producing",),
}
WAIT_S = 60.0
"""A run and its job are there at times only; so long a kill waits for them."""


@dataclass(frozen=True)
class Kill:
    """One kill: when (s since the storm began), who, which process."""

    at_s: float
    victim: str
    pid: int

    def __str__(self) -> str:
        return f"{self.at_s:7.2f} s  {self.victim} ({self.pid})"


def kill(installation: Installation, victim: str, rng: random.Random, *, since: float) -> Kill:
    """SIGKILL to one process of that kind; pid 0 if there was none for `WAIT_S`."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = matching(installation.processes(), victim)
        if found:
            chosen = rng.choice(found)
            at_s = time.monotonic() - since
            with suppress(psutil.NoSuchProcess):
                chosen.kill()
                return Kill(at_s, victim, chosen.pid)
        time.sleep(0.05)
    return Kill(time.monotonic() - since, victim, 0)


def matching(processes: Iterable[psutil.Process], victim: str) -> list[psutil.Process]:
    """Those of a kind, by pid."""
    found = []
    for process in processes:
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if any(mark in command for mark in MARKS[victim]):
                found.append(process)
    return sorted(found, key=lambda p: p.pid)
