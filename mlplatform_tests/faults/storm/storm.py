"""A storm: an installation under kills while a producer streams and clients call; then a calm in which all must end well."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlplatform.serving.supervisor import read_status
from mlplatform_tests.faults.storm.callers import Callers
from mlplatform_tests.faults.storm.installation import Installation
from mlplatform_tests.faults.storm.victims import Kill, kill, matching
from mlplatform_tests.faults.walker import REPOSITORY
from mlplatform_tests.serving.until import until

CALM_S = 120.0


class Storm:
    """Producer, clients and init around an installation; `rage` kills, `calm` waits until all is done.

    `env` is what each process of it sees besides. With `process`, one of the models that are deployed in turn is held by a
    process of its own.
    """

    def __init__(
        self, root: Path, *, seed: int, ui: bool = False, process: bool = False, env: Mapping[str, str] | None = None
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.installation = Installation.make(root, ui=ui, process=process)
        self.installation.more |= env or {}
        self.kills: list[Kill] = []
        self.callers = Callers(self.installation.url, self.installation.key(), seed)
        self._init = threading.Thread(target=self.installation.keep)
        self._runs: list[subprocess.Popen[bytes]] = []
        self._working: dict[str, subprocess.Popen[bytes]] = {}
        self._hands = {
            "producer": ("mlplatform_tests.faults.storm.producing", str(self.installation.site.root), str(seed)),
            "operator": ("mlplatform_tests.faults.storm.operating",),
        }

    def rage(self, victims: Sequence[str]) -> None:
        """Kill one after another at random moments; whom a busy machine had not started in time, once more at the end."""
        began = self.begin()
        self._kill(victims, began)
        self._kill([k.victim for k in self.kills if not k.pid], began)

    def _kill(self, victims: Sequence[str], began: float) -> None:
        for victim in victims:
            time.sleep(self.rng.uniform(0.2, 2.5))
            self._tend()  # one that was killed last may not have been gone yet
            if victim in ("run", "job") and not matching(self.installation.processes(), victim):
                self._refresh()
            self.kills.append(kill(self.installation, victim, self.rng, since=began))
            with self.installation.log.open("a") as log:
                print(f"killed: {self.kills[-1]}", file=log)
            self._tend()

    def begin(self) -> float:
        """Start everything; when that was, by the monotonic clock."""
        self.installation.start()
        self._init.start()
        self._wait_ready()
        began = time.monotonic()
        self._tend()
        self._refresh()
        self.callers.start()
        return began

    def calm(self) -> None:
        """Stop producer and operator; wait until everything that was put is loaded, and runs and programs are as they should be."""
        for process in self._working.values():
            process.send_signal(signal.SIGTERM)
        ended = {process.wait(CALM_S) for process in self._working.values()}
        assert ended <= {0, -signal.SIGTERM}  # the latter where one had only just started
        self.callers.stop()
        self._wait_ready()
        stations = self.installation.site.stations
        until(lambda: all(p.last == p.newest for p in stations.delivery("stock_stream").pending()), timeout_s=CALM_S)
        until(lambda: stations.ingest("stock_table").status().due == 0, timeout_s=CALM_S)
        until(lambda: not any(r.open for r in stations.retrain("stock_prices").requests()), timeout_s=CALM_S)
        until(lambda: not matching(self.installation.processes(), "run"), timeout_s=CALM_S)
        for run in self._runs:
            run.wait()

    def start_and_stop(self) -> None:
        """Start the platform once more, as a person does the day after, and stop it."""
        self.installation.start()
        self._wait_ready()
        assert self.installation.stop() == 0

    def end(self) -> None:
        """Leave nothing behind, however it went."""
        self.callers.stop()
        if self._init.is_alive():
            self.installation.stop()
            self._init.join()
        for process in self.installation.processes():
            process.kill()
        self.installation.site.close()

    def _tend(self) -> None:
        """Start again whichever of producer and operator was killed."""
        for name, command in self._hands.items():
            if name not in self._working or self._working[name].poll() is not None:
                self._working[name] = self._spawn(*command)

    def _spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.installation.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env=self.installation.env,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _refresh(self) -> None:
        """Start a run of the whole line by hand, beside those that the platform starts."""
        self._runs.append(self._spawn("mlplatform_tests.faults.walk", "line"))

    def _wait_ready(self) -> None:
        def ready() -> bool:
            found = read_status(self.installation.home / "run")
            return found is not None and found.alive and all(p.state == "ready" for p in found.programs)

        until(ready, timeout_s=CALM_S)

    def __str__(self) -> str:
        lines = [f"seed {self.seed}; logs: {self.installation.log}, {self.installation.home / 'logs'}"]
        lines += [str(k) for k in self.kills]
        return "\n".join([*lines, *self.installation.exits, f"clients saw {dict(self.callers.seen)}"])
