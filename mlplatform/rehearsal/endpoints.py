"""The endpoints' part of a rehearsal: a version is deployed and called, its answers captured and traced, a window judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlplatform.core.sql import identifier, literal
from mlplatform.errors import BugError, DataError
from mlplatform.platform.line import load_capture
from mlplatform.rehearsal.calls import open_calls, request_row
from mlplatform.rehearsal.stage import Done, Stages
from mlplatform.rehearsal.windows import HeldBack, with_windows
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.monitor import MonitorSpec

if TYPE_CHECKING:
    import pyarrow as pa

    from mlplatform.platform import SystemStations

ASKED = 1000
"""Rows that an endpoint is asked for at most."""
CALL_ROWS = 25
"""Rows in one call at most."""
TOLERANCE = 1e-5
"""How far an answer may be from the model's score of the same row read from the warehouse, relative to the larger."""


@dataclass
class EndpointRehearsal:
    """Endpoints and monitors of one system; `held_back` as the models' part left it."""

    stations: SystemStations
    stages: Stages
    held_back: Mapping[str, HeldBack]
    _ids: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Stages ``deploy``, ``predict``, ``capture`` and ``lineage`` of each endpoint, ``monitor`` of each monitor."""
        spec = self.stations.spec
        for endpoint in spec.all(EndpointSpec):
            name = endpoint.name
            self.stages.run("deploy", name, lambda e=endpoint: self._deploy(e), needs=[("register", endpoint.model)])  # type: ignore[misc]
            self.stages.run("predict", name, lambda e=endpoint: self._predict(e), needs=[("deploy", name)])  # type: ignore[misc]
            self.stages.run("capture", name, lambda e=endpoint: self._capture(e), needs=[("predict", name)])  # type: ignore[misc]
            self.stages.run("lineage", name, lambda e=endpoint: self._trace(e), needs=[("capture", name)])  # type: ignore[misc]
        for features in spec.all(FeatureSetSpec):
            if features.name in self.held_back:
                self.stations.spec = with_windows(self.stations.spec, features, self.held_back[features.name].size)
        for monitor in self.stations.spec.all(MonitorSpec):
            self._monitor(monitor)

    def _deploy(self, endpoint: EndpointSpec) -> Done:
        version = self.stations.registry(endpoint.model).versions()[-1].version
        made = self.stations.rollout(endpoint.name).deploy(version, "rehearsal", "rehearsal")
        return Done(None, f"generation {made.generation} serves version {made.version}")

    def _predict(self, endpoint: EndpointSpec) -> Done:
        """Ask for every row that a monitor will judge (else the held-out ones), and compare with the table's scores."""
        import numpy as np

        table = self._rows(endpoint)
        name = f"{self.stations.spec.name}/{endpoint.name}"
        with open_calls(self.stations.platform) as calls:
            served = calls.served(name)
            size = min(CALL_ROWS, served.spec.max_rows)
            rows = [request_row(row, served) for row in table.to_pylist()]
            answers = [calls.ask(name, rows[at : at + size]) for at in range(0, len(rows), size)]
            scores = served.model.score_table(table)
        predictions = [p for answer in answers for p in answer.predictions]
        self._ids[endpoint.name] = answers[-1].inference_id
        classes = served.manifest.signature.classes
        found = np.asarray([[p.probabilities[c] for c in classes] if p.probabilities else p.value for p in predictions])
        if not np.allclose(found.astype(float), scores, rtol=TOLERANCE, atol=TOLERANCE):
            raise BugError(
                f"Endpoint '{name}' answers otherwise than its model scores the same rows of the table.",
                next_step="This is a fault of mlplatform: please report the feature set and its query.",
            )
        flagged = sum(1 for p in predictions if p.flags)
        told = f"e.g. {endpoint.prediction} {_short(predictions[0].value)}, each as the table's row is scored"
        return Done(len(rows), told + (f"; {flagged} rows with categories that training had not" if flagged else ""))

    def _rows(self, endpoint: EndpointSpec) -> pa.Table:
        _, model, features, table = self.stations.endpoint_parts(endpoint.name)
        held = self.held_back[features.name]
        if not held.size or features.window is None:
            snapshot = self.stations.features(features.name).latest()
            rows = self.stations.features(features.name).read(snapshot, "test").slice(0, ASKED)
        else:
            query = self.stations.spec.query(features).strip().rstrip(";")
            column = identifier(features.window.column)
            where = f"CAST({column} AS VARCHAR) > {literal(str(held.as_of))}"
            sql = f"SELECT * FROM (\n{query}\n) AS q WHERE {where} ORDER BY {column} LIMIT {ASKED}"  # noqa: S608
            rows = self.stations.warehouse(table.connection).query(sql)
        if not rows.num_rows:
            raise DataError(f"There are no rows to ask model '{model.name}' for.", next_step="Give more sample rows.")
        return rows

    def _capture(self, endpoint: EndpointSpec) -> Done:
        evidence: Mapping[str, Any] = load_capture(self.stations, endpoint.name).metadata
        told = f"{evidence['requests']} requests in table {endpoint.name}_capture"
        return Done(
            evidence["loaded"],
            told if endpoint.capture.sample == 1 else f"{told}, a sample of {endpoint.capture.sample:g}",
        )

    def _trace(self, endpoint: EndpointSpec) -> Done:
        record = self.stations.lineage().trace(self._ids[endpoint.name])
        return Done(
            sum(part.rows for part in record.parts),
            f"{record.inference_id.rpartition('.')[0]} → version {record.version} → job {record.training_job} → {len(record.parts)} objects",
        )

    def _monitor(self, monitor: MonitorSpec) -> None:
        features = self.stations.endpoint_parts(monitor.endpoint)[2].name
        needs = [("capture", monitor.endpoint)]
        held = self.held_back.get(features)
        if held is not None and not held.size and self.stages.ok(*needs[0]):
            self.stages.skip(
                "monitor", monitor.name, "the sample has too few values of the window's column to hold some back"
            )
            return
        self.stages.run("monitor", monitor.name, lambda: self._judge(monitor), needs=needs)

    def _judge(self, monitor: MonitorSpec) -> Done:
        """Judge the window held back. Its verdict is told: whether a sample drifts says nothing of the system."""
        late = datetime.now(UTC) + timedelta(seconds=monitor.window.lateness_s + 1)
        evaluations = self.stations.monitor(monitor.name).run(late)
        if not evaluations:
            raise DataError(
                f"Monitor '{monitor.name}' found no whole window of {monitor.window.size} values behind the training rows.",
                next_step="Give sample rows of more values of the window's column.",
            )
        found = evaluations[-1]
        said = [c.description for c in found.checks if not c.passed]
        drifts = ", ".join(f"{d['feature']} {_short(d['value'])}" for d in found.drift)
        told = [f"{monitor.drift.statistic} {drifts}"] if monitor.drift and drifts else []
        if found.quality is not None:
            told.append(f"{found.metric} {found.quality:.3g}")
        return Done(found.rows, "; ".join([*told, *said]), noted=bool(said))


def _short(value: Any) -> str:
    if isinstance(value, float) and not math.isnan(value):
        return f"{value:.3g}"
    return "–" if value is None else str(value)
