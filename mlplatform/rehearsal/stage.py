"""The stages of a rehearsal as they go: what each did, how long it took, or the error that ended it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from mlplatform.errors import PlatformError, exit_code

Status = Literal["passed", "noted", "failed", "skipped"]


@dataclass(frozen=True)
class Done:
    """What a stage's work did. `noted`: something is not as the YAML wants it, which a sample cannot decide."""

    rows: int | None
    detail: str
    noted: bool = False


@dataclass(frozen=True)
class Stage:
    """One stage of one station.

    Attributes:
        status: ``noted`` = passed, with a finding that fails nothing; ``skipped`` = not tried, `detail` says why.
        rows: rows it handled; None where it handles none.
        error: of a failed stage: ``code``, ``message``, ``next_step``, and the ``exit_code`` it stands for.
    """

    stage: str
    station: str
    status: Status
    rows: int | None
    seconds: float
    detail: str
    error: dict[str, Any] | None = None


@dataclass
class Stages:
    """Runs stages one after another; what a failed or skipped one was needed for is skipped."""

    on_stage: Callable[[Stage], None] = lambda _: None
    done: list[Stage] = field(default_factory=list)

    def run(self, stage: str, station: str, work: Callable[[], Done], *, needs: Sequence[tuple[str, str]] = ()) -> bool:
        """Do `work` where all that it `needs` (stage, station) is done; whether it is done now."""
        missing = next((n for n in needs if not self.ok(*n)), None)
        if missing is not None:
            return self.skip(stage, station, f"needs {missing[0]} of {missing[1]}")
        started = time.monotonic()
        try:
            done = work()
        except PlatformError as error:
            told = {"code": error.code, "message": error.message, "next_step": error.next_step}
            took = time.monotonic() - started
            self._add(Stage(stage, station, "failed", None, took, "", {**told, "exit_code": exit_code(error)}))
            return False
        status: Status = "noted" if done.noted else "passed"
        self._add(Stage(stage, station, status, done.rows, time.monotonic() - started, done.detail))
        return True

    def skip(self, stage: str, station: str, why: str) -> bool:
        """Note that a stage was not tried."""
        self._add(Stage(stage, station, "skipped", None, 0.0, why))
        return False

    def ok(self, stage: str, station: str) -> bool:
        """Whether a stage was done."""
        return any((s.stage, s.station) == (stage, station) and s.status in ("passed", "noted") for s in self.done)

    def _add(self, stage: Stage) -> None:
        self.done.append(stage)
        self.on_stage(stage)
