"""The checks of one window: quality, drift and corrections, with their reports in SageMaker Model Monitor's files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mlplatform.core.drift import sagemaker
from mlplatform.core.drift.judge import FeatureDrift, judge
from mlplatform.core.drift.profile_sql import take_profile, unknown_sql
from mlplatform.errors import DataError
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.ports.endpoints import Deployment
from mlplatform.ports.expectations import Expectations
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.monitor import CorrectionsSpec, MonitorSpec, QualitySpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.champion_package import Champion
from mlplatform.stations.corrections_check import check_corrections
from mlplatform.stations.drift_checks import check_drift
from mlplatform.stations.predictions import Pairs, captured, scored
from mlplatform.stations.quality_check import QualityCheck, check_quality, quality_reports, refused
from mlplatform.stations.seen import seen_in
from mlplatform.stations.snapshot_parts import read_manifest
from mlplatform.stations.window_rows import WindowRows


@dataclass(frozen=True)
class Judged:
    """What the checks of one window came to.

    Attributes:
        outcomes: in the order to show them. failed: which of ``quality``, ``drift``, ``corrections`` did.
        quality: the metric's value, None where it was not judged; quality_rows: rows with a truth and a prediction.
    """

    outcomes: tuple[CheckOutcome, ...]
    failed: tuple[str, ...]
    quality: float | None
    quality_rows: int
    drifts: tuple[FeatureDrift, ...]


class WindowChecks:
    """Judges the rows of a window by what a monitor's spec asks. `suite` names its expectations."""

    def __init__(
        self,
        warehouse: Warehouse,
        store: ObjectStore,
        expectations: Expectations,
        champion: Champion,
        rows: WindowRows,
        spec: MonitorSpec,
        endpoint: EndpointSpec,
        model: ModelSpec,
        features: FeatureSetSpec,
        table: TableSpec,
        *,
        suite: str,
        capture_table: str,
    ) -> None:
        self._warehouse = warehouse
        self._store = store
        self._expectations = expectations
        self._champion = champion
        self._rows = rows
        self._spec = spec
        self._endpoint = endpoint
        self._model = model
        self._features = features
        self._table = table
        self._suite = suite
        self._capture_table = capture_table

    def judge(self, deployment: Deployment, relation: str, *, name: str, reports: str) -> Judged:
        """Judge `relation` (what stands behind FROM) for what `deployment` serves; reports go under `reports`."""
        outcomes: list[CheckOutcome] = []
        failed: list[str] = []
        quality, quality_rows = None, 0
        if self._spec.quality is not None:
            found, quality_rows = self._quality(self._spec.quality, deployment, relation, reports)
            quality = found.value
            outcomes.append(found.outcome)
            failed += ["quality"] * found.failed
        drifts: list[FeatureDrift] = []
        if self._spec.drift is not None:
            drifts = self._drift(deployment, relation, reports)
            unknown = self._unknown(deployment, relation, drifts)
            verdict = check_drift(self._expectations, drifts, suite=self._suite, run=name, unknown=unknown)
            outcomes += verdict.outcomes
            failed += ["drift"] * bool(verdict.failed)
        if self._spec.corrections is not None:
            corrected = self._corrections(self._spec.corrections, deployment)
            outcomes.append(corrected)
            failed += ["corrections"] * (not corrected.passed)
        return Judged(tuple(outcomes), tuple(failed), quality, quality_rows, tuple(drifts))

    def _quality(
        self, spec: QualitySpec, deployment: Deployment, relation: str, reports: str
    ) -> tuple[QualityCheck, int]:
        try:
            pairs = self._pairs(spec, deployment, relation)
        except DataError as error:
            return refused(spec, str(error)), 0
        found = check_quality(pairs, spec, target=self._features.target)
        if found.value is not None:
            for name, document in quality_reports(pairs, spec, found.value, task=self._model.task).items():
                put_report(self._store, f"{reports}/model_quality/{name}", document)
        return found, len(pairs)

    def _pairs(self, spec: QualitySpec, deployment: Deployment, relation: str) -> Pairs:
        model = self._champion.model(deployment)
        segments = self._model.gate.segments
        if spec.predictions == "captured":
            return captured(
                self._warehouse,
                model,
                relation,
                self._features,
                endpoint=self._endpoint,
                table=self._table,
                digest=deployment.digest,
                capture_table=self._capture_table,
                segments=segments,
            )
        return scored(self._warehouse, model, relation, self._features, segments=segments)

    def _drift(self, deployment: Deployment, relation: str, reports: str) -> list[FeatureDrift]:
        spec = self._spec.drift
        if spec is None:
            return []
        baseline = self._champion.baseline(deployment)
        histogram = self._warehouse.capabilities.histogram
        sample = take_profile(self._warehouse.query, relation, baseline, histogram=histogram)
        drifts = judge(
            baseline,
            sample,
            statistic=spec.statistic,
            threshold=spec.threshold,
            thresholds=spec.thresholds,
            completeness=spec.completeness,
        )
        put_report(self._store, f"{reports}/statistics.json", sagemaker.statistics(sample))
        put_report(
            self._store, f"{reports}/constraints.json", sagemaker.constraints(baseline, threshold=spec.threshold)
        )
        put_report(self._store, f"{reports}/constraint_violations.json", sagemaker.violations(baseline, sample, drifts))
        return drifts

    def _corrections(self, spec: CorrectionsSpec, deployment: Deployment) -> CheckOutcome:
        snapshot = self._champion.snapshot(deployment)
        manifest = read_manifest(self._store, snapshot)
        loaded = None
        if seen := seen_in(manifest, self._table.schema_().name):
            loaded = self._rows.late(
                first=manifest["window_first"],
                upto=self._champion.trained_to(deployment),
                since=seen,
            )
        return check_corrections(spec, manifest, trained_rows=int(snapshot["rows"]), since_loaded=loaded)

    def _unknown(self, deployment: Deployment, relation: str, drifts: list[FeatureDrift]) -> dict[str, list[str]]:
        """Categories that the baseline never had, by feature; asked for only where there are some."""
        new = [d.feature for d in drifts if d.unknown > 0]
        baseline = self._champion.baseline(deployment) if new else None
        return {
            name: [
                str(v)
                for v in self._warehouse.query(unknown_sql(relation, baseline.feature(name))).column(0).to_pylist()
            ]
            for name in new
            if baseline is not None
        }


def put_report(store: ObjectStore, key: str, document: dict[str, Any]) -> None:
    """Write one report as JSON."""
    store.put(key, json.dumps(document, indent=1, default=str).encode())
