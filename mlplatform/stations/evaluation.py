"""Evaluations: what a monitor found in one window, and the list of them in the item store.

Items of the collection `evaluations`, keyed ``<system>/<monitor>/g<generation>.w<window>`` with padded numbers, so that
a listing is in the order of judging and a reader who remembers the last key reads only what is new.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlplatform.core.drift.windows import Window
from mlplatform.errors import ConflictError, StateError
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.ports.item_store import ItemStore

COLLECTION, TOLD = "evaluations", "evaluations_told"
MAX_DRIFTS = 50
"""An asset's metadata shows the drift of so many features; the reports have all."""


@dataclass(frozen=True)
class Evaluation:
    """One window judged for the model of one deployment.

    Attributes:
        id: its key in the item store.
        rows: rows of the window; judged_rows: those with a truth and a prediction.
        metric, quality, threshold: the quality rule; quality None where it was not judged (no rule, too few rows).
        drift: one entry a feature (`core.drift.judge.FeatureDrift` as JSON).
        failed: which of ``quality`` and ``drift`` failed.
        checks: outcomes to show: ``quality``, and ``drift_<feature>`` each.
        reports: prefix in the object store of this evaluation's reports.
        late_rows: rows that came too late for the windows before this one (or for training): loaded since the evaluation
            before this (or the rows trained on), with a value that was judged (or trained on) already. None where unknown.
        position: of the table's newest ledger row when the window was judged; None where others load it.
    """

    id: str
    window: Window
    rows: int
    judged_rows: int
    model: str
    generation: int
    version: int
    digest: str
    judged_at: str
    metric: str | None
    quality: float | None
    threshold: float | None
    drift: tuple[Mapping[str, Any], ...]
    failed: tuple[str, ...]
    reports: str
    checks: tuple[CheckOutcome, ...] = field(default=())
    late_rows: int | None = None
    position: int | None = None

    @property
    def passed(self) -> bool:
        return not self.failed

    def summary(self) -> dict[str, Any]:
        """The evaluation in a few flat values, for an asset's metadata and for people."""
        summary: dict[str, Any] = {
            "evaluation": self.id,
            "window": f"{self.window.first} … {self.window.upto}",
            "rows": self.rows,
            "generation": self.generation,
            "version": self.version,
            "passed": self.passed,
            "drifted": [d["feature"] for d in self.drift if not d["passed"]],
            "reports": self.reports,
        }
        if self.late_rows is not None:
            summary["late_rows"] = self.late_rows
        if self.quality is not None:
            summary[str(self.metric)] = self.quality
        return summary

    def evidence(self) -> dict[str, Any]:
        """The summary with each feature's drift as a number, which the UI plots; of many features those that moved most."""
        moved = sorted((d for d in self.drift if d["value"] is not None), key=lambda d: d["threshold"] - d["value"])
        return {**self.summary(), **{f"drift_{d['feature']}": d["value"] for d in moved[:MAX_DRIFTS]}}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        """Read one back. Raises StateError where it is damaged."""
        try:
            return cls(
                **{
                    **data,
                    "window": Window(**data["window"]),
                    "drift": tuple(data["drift"]),
                    "failed": tuple(data["failed"]),
                    "checks": tuple(CheckOutcome(**c) for c in data["checks"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise StateError(f"stored evaluation '{data.get('id')}' is damaged: {error!r}.") from error


class Evaluations:
    """One monitor's evaluations; each instance reads a stored item once, and may be used by several threads."""

    def __init__(self, items: ItemStore, *, system: str, monitor: str) -> None:
        self._items = items
        self._lock = threading.Lock()
        self._prefix = f"{system}/{monitor}/"
        self._last_key = ""
        self._latest: Evaluation | None = None
        self._by_digest: dict[str, tuple[int, Evaluation]] = {}

    def latest(self, digest: str | None = None) -> Evaluation | None:
        """The newest evaluation, of the model `digest` if given."""
        self._read()
        if digest is None:
            return self._latest
        return self._by_digest[digest][1] if digest in self._by_digest else None

    def count(self, digest: str) -> int:
        """How many windows were judged for the model `digest`."""
        self._read()
        return self._by_digest[digest][0] if digest in self._by_digest else 0

    def all(self) -> list[Evaluation]:
        """Every stored evaluation, in the order of judging."""
        return [Evaluation.from_json(item.value) for item in self._items.list(COLLECTION, prefix=self._prefix)]

    def key(self, generation: int, window: Window) -> str:
        """The id of an evaluation of `window` made while `generation` was live."""
        return f"{self._prefix}g{generation:06d}.w{window.index:06d}"

    def add(self, evaluation: Evaluation) -> Evaluation:
        """Store it; where another process judged the same window first, that process's evaluation comes back."""
        try:
            self._items.put(COLLECTION, evaluation.id, evaluation.to_json(), expected_version=0)
        except ConflictError:
            stored = self._items.get(COLLECTION, evaluation.id)
            if stored is None:
                raise
            return Evaluation.from_json(stored.value)
        return evaluation

    def untold(self) -> list[Evaluation]:
        """Those that were not reported yet, oldest first: what a killed worker judged and did not tell is among them."""
        latest, told = self.latest(), self._items.get(TOLD, self._prefix.rstrip("/"))
        after = "" if told is None else str(told.value["evaluation"])
        if latest is None or latest.id <= after:
            return []
        return [Evaluation.from_json(i.value) for i in self._items.list(COLLECTION, prefix=self._prefix, after=after)]

    def told(self, evaluation: Evaluation) -> None:
        """Note that `evaluation`, and all before it, were reported."""
        self._items.put(TOLD, self._prefix.rstrip("/"), {"evaluation": evaluation.id})

    def _read(self) -> None:
        with self._lock:
            for item in self._items.list(COLLECTION, prefix=self._prefix, after=self._last_key):
                evaluation = Evaluation.from_json(item.value)
                self._last_key = item.key
                self._latest = evaluation
                count = self._by_digest.get(evaluation.digest, (0, evaluation))[0]
                self._by_digest[evaluation.digest] = (count + 1, evaluation)
