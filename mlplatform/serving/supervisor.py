"""The supervisor behind `mlplatform serve`: starts programs, starts again what dies, and takes all with it when it ends.

One a home, held by a lock (`supervisor_lock`). It is single-threaded, so that its children can be told to end when it
does: also after a ``kill -9`` (Linux), and what should survive that is swept by the next supervisor.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlplatform.errors import TimedOutError
from mlplatform.serving.keeper import Keeper
from mlplatform.serving.program import Program, ProgramStatus
from mlplatform.serving.supervisor_file import SupervisorStatus, read_status, refuse_if_running, write_status
from mlplatform.serving.supervisor_lock import SupervisorLock
from mlplatform.spec.process_name import process_name
from mlplatform.stations.steady_clock import SteadyClock

__all__ = ["Supervisor", "http_ready", "read_status", "refuse_if_running"]

STEP_S = 0.1
log = logging.getLogger(__name__)
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Runs programs, their logs under `logs`, lock and status file under `run`; use it from the main thread.

    It takes the lock when it starts, unless it is given one.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        run: Path,
        logs: Path,
        lock: SupervisorLock | None = None,
        on_change: Callable[[tuple[ProgramStatus, ...]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: SteadyClock | None = None,
    ) -> None:
        self._run = run
        self._clock = clock
        self._wall_clock = wall_clock or SteadyClock()
        self._keepers = [Keeper(p, logs / f"{p.name}.log", clock=clock) for p in programs]
        self._on_change = on_change
        self._lock = lock
        self._started_at = ""
        self._written: tuple[ProgramStatus, ...] | None = None
        self._signal = 0

    @property
    def programs(self) -> tuple[ProgramStatus, ...]:
        """What is known of each program."""
        return tuple(k.status for k in self._keepers)

    def run(self) -> None:
        """Start, look after the programs until SIGTERM, SIGINT or SIGHUP, then stop them."""
        before = {number: signal.signal(number, self._note_signal) for number in _STOP_SIGNALS}
        try:
            self.start()
            while not self._signal:
                self.step()
                time.sleep(STEP_S)
            log.info("%s: stopping", signal.Signals(self._signal).name)
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self) -> None:
        """Take the lock (which sweeps what a killed supervisor left), start every program.

        Raises:
            ConflictError: another supervisor holds this home; names its pid.
        """
        self._lock = self._lock or SupervisorLock.take(self._run)
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        for keeper in self._keepers:
            keeper.start()
        self._write()

    def step(self) -> None:
        """Look after every program once."""
        if (moved_s := self._wall_clock.moved_s()) < 0:
            for keeper in self._keepers:
                if keeper.program.by_wall_clock:
                    log.warning("the clock was set back by %.0f s: %s is restarted", -moved_s, keeper.program.name)
                    keeper.ask_to_stop()
        for keeper in self._keepers:
            keeper.step()
        self._write()

    def wait_ready(self, *, timeout_s: float) -> None:
        """Step until every program is ready.

        Raises:
            TimedOutError: some are not after `timeout_s`; names them and their logs.
        """
        deadline = self._clock() + timeout_s
        while any(p.state != "ready" for p in self.programs):
            if self._signal or self._clock() >= deadline:
                late = [
                    f"{p.name} ({p.state}, {p.restarts} restarts; {p.log})" for p in self.programs if p.state != "ready"
                ]
                raise TimedOutError(f"Not ready after {timeout_s:g} s: {'; '.join(late)}.", next_step="Read the logs.")
            self.step()
            time.sleep(STEP_S)

    def stop(self) -> None:
        """SIGTERM to all, SIGKILL to what has not ended in its time, then the lock is free."""
        if self._lock is None:
            return
        began = self._clock()
        for keeper in reversed(self._keepers):
            keeper.ask_to_stop()
        left = list(self._keepers)
        while left:
            left = [k for k in left if not k.stopped()]
            for keeper in left:
                if self._clock() - began >= keeper.program.stop_s:
                    log.warning("%s did not end in %g s; killed", keeper.program.name, keeper.program.stop_s)
                    keeper.kill()
            time.sleep(STEP_S / 2 if left else 0)
        self._write()
        self._lock.release()
        self._lock = None

    def _write(self) -> None:
        if self.programs == self._written:
            return
        self._written = self.programs
        write_status(self._run, SupervisorStatus(process_name(), self._started_at, self.programs))
        if self._on_change is not None:
            self._on_change(self.programs)

    def _note_signal(self, number: int, _: Any) -> None:
        self._signal = number


def http_ready(url: str, *, timeout_s: float = 0.3) -> Callable[[], bool]:
    """A readiness question: does GET `url` answer with 200?"""
    import httpx

    def ask() -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(url, timeout=timeout_s, trust_env=False).status_code == 200
        return False

    return ask
