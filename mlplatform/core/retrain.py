"""When a failed evaluation starts a retraining: pure policy over what was judged and asked for so far.

A request is *requested*, then *launched* by a run, then *done* or *failed*. At most one is open (requested or
launched) at a time; a cool-down follows each, and a day (the last 24 hours) sees at most so many, so that a model
that cannot get better does not retrain for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

Status = Literal["requested", "launched", "done", "failed"]
Outcome = Literal["done", "failed"]


@dataclass(frozen=True)
class Request:
    """One retraining asked for.

    Attributes:
        id: its key; sorts by when it was made.
        evaluation_id: of the failed evaluation that caused it; "" for a first training.
        checks: names of the checks that failed.
        run_id: of the run that took it, once launched. finished_at: when that ended.
        basis: for a first training, what it was asked on: the system's YAML and the table's rows, as one text each.
    """

    id: str
    reason: str
    evaluation_id: str
    checks: tuple[str, ...]
    requested_at: datetime
    status: Status = "requested"
    run_id: str = ""
    launched_at: datetime | None = None
    finished_at: datetime | None = None
    message: str = ""
    basis: tuple[str, str] = ("", "")

    @property
    def open(self) -> bool:
        """Whether it still waits or runs."""
        return self.status in ("requested", "launched")

    def launched(self, run_id: str, now: datetime) -> Request:
        """The request as taken by a run."""
        return replace(self, status="launched", run_id=run_id, launched_at=now)

    def finished(self, outcome: Outcome, now: datetime, message: str = "") -> Request:
        """The request as ended."""
        return replace(self, status=outcome, finished_at=now, message=message)

    def to_json(self) -> dict[str, Any]:
        times = ("requested_at", "launched_at", "finished_at")
        document = asdict(self)
        return {k: v.isoformat() if k in times and v is not None else v for k, v in document.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        times = {
            k: datetime.fromisoformat(data[k]) if data[k] else None
            for k in ("requested_at", "launched_at", "finished_at")
        }
        basis = tuple(data.get("basis") or ("", ""))
        return cls(**{**data, "checks": tuple(data["checks"]), "basis": basis, **times})


@dataclass(frozen=True)
class Finding:
    """The newest evaluation of the live model: its id, and the checks that failed."""

    evaluation_id: str
    failed: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """Whether to retrain, for which failed checks, and why (or why not), in words."""

    retrain: bool
    reason: str
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """Which failed checks count, and how often a retraining may be asked for."""

    checks: tuple[str, ...]
    cooldown: timedelta
    max_per_day: int


DAY = timedelta(hours=24)
"""Times of requests are compared by how far they are from now, either way: one of the future is from before the clock was
set back, and must not keep others waiting until then."""


def decide(finding: Finding | None, requests: Sequence[Request], *, now: datetime, policy: Policy) -> Decision:
    """Whether `finding` asks for a retraining now.

    The same evaluation asks again only where its retraining failed, after the cool-down and within the cap. One that
    ended well and left the model live found no better model; the next window decides anew.
    """
    if finding is None:
        return Decision(False, "the live model has not been judged yet")
    wanted = tuple(c for c in policy.checks if c in finding.failed)
    if not wanted:
        return Decision(False, f"evaluation {finding.evaluation_id} failed none of: {', '.join(policy.checks)}")
    for request in requests:
        if request.evaluation_id == finding.evaluation_id and request.status == "done":
            said = f"request {request.id} for it has ended without a better model; the next window decides"
            return Decision(False, f"evaluation {finding.evaluation_id} failed {', '.join(wanted)}, but {said}", wanted)
    blocked = may_request(requests, now=now, policy=policy)
    if blocked:
        return Decision(False, f"evaluation {finding.evaluation_id} failed {', '.join(wanted)}, but {blocked}", wanted)
    return Decision(True, f"evaluation {finding.evaluation_id} failed {', '.join(wanted)}", wanted)


def lost(requests: Sequence[Request], *, now: datetime) -> list[Request]:
    """Open requests of which nothing was heard for a day: no run took them, or theirs died with its orchestrator.

    Args:
        now: of a clock that is believed: by one that was set, a run that goes on could be taken for lost.
    """
    return [r for r in requests if r.open and abs(now - (r.launched_at or r.requested_at)) >= DAY]


def may_train_first(requests: Sequence[Request], basis: tuple[str, str], *, now: datetime, policy: Policy) -> str:
    """Why the first training may not be asked for now, or "" where it may.

    After one that brought no deployment (its gate or data tests refused it, or it failed) an edited YAML may try again at
    once; new rows after the cool-down and within the cap; the same rows under the same YAML would end the same way, so only
    a failed run is tried again on them.

    Args:
        basis: the YAML and the rows as they are now; see `Request.basis`.
    """
    for request in requests:
        if request.open:
            return f"request {request.id} is still {request.status}"
    tried = [r for r in requests if not r.evaluation_id and r.basis[0] == basis[0]]
    if not tried:
        return ""
    last = max(tried, key=lambda r: r.id)
    if last.status == "done" and last.basis == basis:
        return f"request {last.id} ended on the same rows and YAML: {last.message or 'no model came of it'}"
    recent = [r for r in tried if abs(now - r.requested_at) < DAY]
    if len(recent) >= policy.max_per_day:
        return f"{len(recent)} were made in the last 24 hours, the most allowed; an edited YAML may try at once"
    ready = _ready(last, now=now, policy=policy)
    if ready is not None:
        return f"the cool-down after request {last.id} lasts until {ready.isoformat(timespec='seconds')}"
    return ""


def may_request(requests: Sequence[Request], *, now: datetime, policy: Policy) -> str:
    """Why no request may be made now, or "" where one may."""
    for request in requests:
        if request.open:
            return f"request {request.id} is still {request.status}"
    # A first training is no retraining: the model it made may fail, and be retrained, at once.
    retrainings = [r for r in requests if r.evaluation_id]
    recent = [r for r in retrainings if abs(now - r.requested_at) < DAY]
    if len(recent) >= policy.max_per_day:
        return f"{len(recent)} were made in the last 24 hours, the most allowed"
    if retrainings:
        last = max(retrainings, key=lambda r: r.id)
        ready = _ready(last, now=now, policy=policy)
        if ready is not None:
            return f"the cool-down after request {last.id} lasts until {ready.isoformat(timespec='seconds')}"
    return ""


def _ready(last: Request, *, now: datetime, policy: Policy) -> datetime | None:
    """When the cool-down after `last` ends, or None where it has ended."""
    ended = last.finished_at or last.requested_at
    return ended + policy.cooldown if abs(now - ended) < policy.cooldown else None
