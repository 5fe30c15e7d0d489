"""Verdicts: what the gate said of a candidate, stored under its digest; who registers or deploys asks here first.

Collection `verdicts`: key = the candidate's digest (the newest verdict on it); ``<digest>/<champion's digest or "none">``
keeps that against each champion. Collection `candidates`: key = model, the candidate judged last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlplatform.core.training.gate import Judgement
from mlplatform.errors import GateError
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.ports.item_store import ItemStore

VERDICTS = "verdicts"
CANDIDATES = "candidates"


@dataclass(frozen=True)
class Verdict:
    """One judgement of one candidate.

    Attributes:
        figures: `Judgement.to_json`: metric, value, comparison, segments.
        excluded: held-out rows left out of the comparison, since the champion may have seen them.
    """

    model: str
    digest: str
    champion_digest: str | None
    champion_version: int | None
    snapshot: str
    judged_at: str
    passed: bool
    outcome: str
    reason: str
    figures: Mapping[str, Any]
    excluded: int = 0
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "figures": dict(self.figures)}

    @classmethod
    def of(cls, judgement: Judgement, **rest: Any) -> Verdict:
        return cls(
            passed=judgement.passed,
            outcome=judgement.outcome,
            reason=judgement.reason,
            figures=judgement.to_json(),
            **rest,
        )

    def metadata(self) -> dict[str, Any]:
        """Evidence for people and for checks: figures flat, segments as rows."""
        comparison = self.figures.get("comparison") or {}
        flat = {
            "outcome": self.outcome,
            "reason": self.reason,
            "digest": self.digest,
            "champion_version": self.champion_version or 0,
            "metric": self.figures.get("metric"),
            "value": self.figures.get("value"),
            "threshold": self.figures.get("threshold"),
            "held_out_rows": self.figures.get("rows"),
            **{k: comparison.get(k) for k in ("champion", "improvement", "low", "high", "groups", "groups_needed")},
            "excluded_rows": self.excluded,
            "note": self.note,
            "segments": [dict(s) for s in self.figures.get("segments", [])],
        }
        return {name: value for name, value in flat.items() if value not in (None, "", [])}

    def check(self) -> CheckOutcome:
        """The blocking asset check that shows it."""
        return CheckOutcome("gate", self.passed, blocking=True, metadata=self.metadata(), description=self.reason)


def store_verdict(items: ItemStore, verdict: Verdict) -> None:
    """Keep the verdict, and that its candidate was judged last."""
    value = verdict.to_json()
    items.put(VERDICTS, f"{verdict.digest}/{verdict.champion_digest or 'none'}", value)
    items.put(VERDICTS, verdict.digest, value)
    remember_candidate(items, model=verdict.model, digest=verdict.digest)


def remember_candidate(items: ItemStore, *, model: str, digest: str) -> None:
    """Note which candidate of a model was judged last."""
    items.put(CANDIDATES, model, {"digest": digest})


def stored_verdict(items: ItemStore, digest: str) -> Verdict | None:
    """The newest verdict on a candidate, or None."""
    item = items.get(VERDICTS, digest)
    return None if item is None else Verdict(**dict(item.value))


def require_pass(items: ItemStore, *, model: str, digest: str, champion_digest: str | None) -> Verdict:
    """The passing verdict on `digest` against the present champion.

    Raises:
        GateError: there is none, it is no pass, or it was made against another champion.
    """
    verdict = stored_verdict(items, digest)
    if verdict is None:
        raise GateError(f"Candidate {digest[:12]}… of '{model}' has no verdict.", next_step="Run the gate on it.")
    if not verdict.passed:
        raise GateError(
            f"Candidate {digest[:12]}… of '{model}' did not pass the gate: {verdict.reason}",
            next_step="Change the model or its data and train again; what serves, goes on serving.",
        )
    if verdict.champion_digest != champion_digest:
        then, now = ((d or "none")[:12] for d in (verdict.champion_digest, champion_digest))
        raise GateError(
            f"Candidate {digest[:12]}… of '{model}' was judged against champion {then}; now it is {now}.",
            next_step="Run the gate on it again.",
        )
    return verdict
