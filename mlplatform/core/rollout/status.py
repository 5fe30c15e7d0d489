"""What an endpoint's workers, seen together, serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["Updating", "InService", "Failed", "RollingBack"]


@dataclass(frozen=True)
class Report:
    """One live worker's word on one endpoint; one that is not `ready` takes no calls yet."""

    worker: str
    ready: bool
    generation: int = 0
    failed_generation: int = 0
    message: str = ""


@dataclass(frozen=True)
class Observation:
    """`live_generation` is the oldest that a ready worker answers with (0 = none or nobody)."""

    live_generation: int
    status: Status
    workers: int
    message: str = ""


def observe(generation: int, *, rolling_back: bool, reports: Sequence[Report]) -> Observation:
    """The state of an endpoint whose desired generation is `generation`."""
    ready = [r for r in reports if r.ready]
    live = min((r.generation for r in ready), default=0)
    if not ready:
        starting = f"{len(reports)} workers are starting" if reports else "nobody serves"
        return Observation(0, "Updating", 0, f"{starting}; generation {generation} waits for them.")
    broken = next((r for r in reports if r.failed_generation == generation), None)
    if broken is not None:
        goes_on = f"generation {live} goes on serving" if live else "nothing serves"
        return Observation(
            live, "Failed", len(ready), f"Generation {generation} cannot be served: {broken.message} ({goes_on})."
        )
    if live == generation:
        return Observation(live, "InService", len(ready))
    behind = sum(r.generation != generation for r in ready)
    troubles = "".join(f" {r.message}" for r in ready[:1] if r.message)
    return Observation(
        live,
        "RollingBack" if rolling_back else "Updating",
        len(ready),
        f"{behind} of {len(ready)} workers do not answer with generation {generation} yet.{troubles}",
    )


def settled(generation: int, reports: Sequence[Report]) -> bool:
    """Whether every worker, also one that starts, answers with `generation` or a later one."""
    return bool(reports) and all(r.ready and r.generation >= generation for r in reports)
