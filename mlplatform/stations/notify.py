"""Notify: the words people get on success, failed gate, drift and failure, each event once."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mlplatform.errors import UnavailableError
from mlplatform.ports.endpoints import Deployment
from mlplatform.ports.notifications import Kind, Notification, Notifications
from mlplatform.ports.tracking import ModelVersion
from mlplatform.spec.notification import NotifySpec
from mlplatform.stations.evaluation import Evaluation

log = logging.getLogger(__name__)

DEFAULT = "notifications"
"""The connection of a `mlplatform.Notify` that names none."""


class Notify:
    """Builds and sends the messages of one system; each method says whether a message went out.

    An event that `spec.events` does not name, and one told before, is not sent. That nobody can be reached is logged and
    fails nothing.
    """

    def __init__(self, notifications: Notifications, spec: NotifySpec, *, system: str) -> None:
        self._notifications = notifications
        self._spec = spec
        self._system = system

    def deployed(self, deployment: Deployment, *, metrics: Mapping[str, float] | None = None) -> bool:
        """A version serves: ``success``, once a generation."""
        figures = ", ".join(f"{name} {value:.4g}" for name, value in sorted((metrics or {}).items()))
        return self._send(
            f"deployed/{deployment.endpoint}/g{deployment.generation}",
            "success",
            f"{deployment.endpoint} serves version {deployment.version} of {deployment.model}",
            f"Generation {deployment.generation}, digest {deployment.digest[:12]}, because of: {deployment.reason}."
            + (f"\nOn held-out rows: {figures}." if figures else ""),
        )

    def registered(self, version: ModelVersion) -> bool:
        """A version of a model that no endpoint serves is the champion: ``success``, once a version."""
        figures = ", ".join(f"{name} {value:.4g}" for name, value in sorted(version.metrics.items()))
        return self._send(
            f"registered/{version.model}/v{version.version}",
            "success",
            f"Version {version.version} of {version.model} is its champion",
            f"Digest {version.digest[:12]}." + (f"\nOn held-out rows: {figures}." if figures else ""),
        )

    def approval_awaited(self, version: ModelVersion, how: str) -> bool:
        """A version passed its gate and waits for people: ``success``, once a version."""
        return self._send(
            f"approval/{version.model}/v{version.version}/{version.run_id}",
            "success",
            f"Version {version.version} of {version.model} passed its gate and waits for approval",
            f"Digest {version.digest[:12]}. {how}\nUntil then, what serves goes on serving.",
        )

    def data_tests_failed(self, features: str, snapshot: str, reason: str, *, run_id: str = "") -> bool:
        """Training rows did not pass their data tests: ``gate_failed``, once a snapshot."""
        return self._send(
            f"data_tests/{features}/{snapshot}",
            "gate_failed",
            f"Rows of {features} did not pass their data tests",
            f"Snapshot {snapshot[:12]}{f', run {run_id}' if run_id else ''}: {reason}\nNothing is trained on them.",
        )

    def gate_failed(self, model: str, digest: str, reason: str, *, run_id: str = "") -> bool:
        """A candidate did not pass: ``gate_failed``, once a candidate."""
        return self._send(
            f"gate/{model}/{digest}",
            "gate_failed",
            f"A candidate of {model} did not pass its gate",
            f"Digest {digest[:12]}{f', run {run_id}' if run_id else ''}: {reason}\nWhat serves, goes on serving.",
        )

    def evaluated(self, evaluation: Evaluation) -> bool:
        """An evaluation failed: ``drift``; again for the same model only when something else fails."""
        if evaluation.passed:
            return False
        drifted = sorted(str(d["feature"]) for d in evaluation.drift if not d["passed"])
        monitor = evaluation.id.rpartition("/")[0]
        what = ",".join([*(f for f in evaluation.failed if f != "drift"), *drifted])
        said = "\n".join(f"- {c.name}: {c.description}" for c in evaluation.checks if not c.passed)
        return self._send(
            f"drift/{monitor}/{evaluation.digest}/{what}",
            "drift",
            f"{evaluation.model} version {evaluation.version} fails: {', '.join(evaluation.failed)}",
            f"Window {evaluation.window.first} … {evaluation.window.upto}, {evaluation.rows} rows, "
            f"evaluation {evaluation.id}:\n{said}",
        )

    def run_failed(self, run_id: str, message: str, *, what: str = "A run") -> bool:
        """A run or a station failed: ``failure``, once a run."""
        return self._send(
            f"failure/{run_id}", "failure", f"{what} of {self._system} failed", f"Run {run_id}: {message}"
        )

    def _send(self, key: str, kind: Kind, title: str, body: str) -> bool:
        if kind not in self._spec.events:
            return False
        # People behind another connection are others: that the first were told is not their being told.
        whom = "" if self._spec.connection == DEFAULT else f"@{self._spec.connection}"
        notification = Notification(
            f"{self._system}{whom}/{key}", kind, self._system, f"[{self._system}] {title}", body
        )
        try:
            return self._notifications.send(notification)
        except UnavailableError as error:
            log.warning("%s", error)
            return False
