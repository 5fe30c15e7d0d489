"""Monitor: judges each window of arrived rows for the champion that serves, once, with drift and quality as checks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from mlplatform.core.drift import sagemaker
from mlplatform.core.drift.judge import FeatureDrift, judge
from mlplatform.core.drift.profile import Field, Profile
from mlplatform.core.drift.profile_sql import take_baseline, take_profile, unknown_sql
from mlplatform.core.drift.windows import Window, tumble
from mlplatform.errors import ConflictError, DataError, SpecError, StateError
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.ports.endpoints import Deployment, Endpoints
from mlplatform.ports.expectations import Expectations
from mlplatform.ports.item_store import ItemStore
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.runtimes import Runtimes
from mlplatform.ports.tracking import Tracking
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.monitor import CorrectionsSpec, MonitorSpec, QualitySpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.champion_package import Champion
from mlplatform.stations.corrections_check import check_corrections
from mlplatform.stations.drift_checks import check_drift
from mlplatform.stations.evaluation import Evaluation, Evaluations
from mlplatform.stations.predictions import Pairs, captured, scored
from mlplatform.stations.quality_check import QualityCheck, check_quality, quality_reports, refused
from mlplatform.stations.snapshot_parts import read_manifest
from mlplatform.stations.window_rows import WindowRows


class Monitor:
    """Watches one endpoint's model on the rows that arrive.

    Args:
        endpoint, model, features, table: the specs that `spec` refers to, directly and through them.
        query_sql: text of the feature set's query.
        capture_table: the warehouse's table of captured predictions, for `predictions: captured`.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        store: ObjectStore,
        tracking: Tracking,
        runtimes: Runtimes,
        endpoints: Endpoints,
        items: ItemStore,
        expectations: Expectations,
        spec: MonitorSpec,
        endpoint: EndpointSpec,
        model: ModelSpec,
        features: FeatureSetSpec,
        table: TableSpec,
        *,
        system: str,
        query_sql: str,
        capture_table: str | None = None,
    ) -> None:
        self._warehouse = warehouse
        self._store = store
        self._expectations = expectations
        self._spec = spec
        self._endpoint = endpoint
        self._model = model
        self._features = features
        self._table = table
        self._system = system
        self._capture_table = capture_table or f"{endpoint.name}_capture"
        self._rows = WindowRows(warehouse, table, query_sql=query_sql, column=spec.window.column)
        self._evaluations = Evaluations(items, system=system, monitor=spec.name)
        self._champion = Champion(endpoints, tracking, runtimes, endpoint=f"{system}/{endpoint.name}")

    def baseline(self, relation: str) -> Profile:
        """The profile of `relation` (what stands behind FROM) on bins of its own: what later windows are judged against."""
        fields = [
            Field(f.name, "category" if f.transform == "category" else "numeric") for f in self._features.features
        ]
        return take_baseline(self._warehouse.query, relation, fields, histogram=self._warehouse.capabilities.histogram)

    def due(self, now: datetime) -> list[Window]:
        """Full, complete windows not judged yet for the champion that serves; none where there is no deployment.

        Raises:
            StateError: what was trained on or judged already ends in the future, or far ahead of all rows that come, so
                that nothing would ever be due.
        """
        deployment = self._champion.deployment()
        if deployment is None:
            return []
        newest = self._evaluations.latest(deployment.digest)
        after = newest.window.upto if newest else self._trained_to(deployment)
        size = self._spec.window.size
        values = self._rows.values(after=after, size=size, now=now)
        if not values and self._rows.ahead(after, now=now):
            raise self._ends_in_the_future(deployment, after, now, judged=newest is not None)
        if not values:
            self._refuse_stray(deployment, after, since=newest.judged_at if newest else deployment.created_at)
        windows = tumble(
            values,
            model=deployment.digest,
            after=after,
            size=size,
            index=self._evaluations.count(deployment.digest),
        )
        for k, window in enumerate(windows):
            if not self._rows.closed(window, now=now, lateness_s=self._spec.window.lateness_s):
                return windows[:k]
        return windows

    def run(self, now: datetime) -> list[Evaluation]:
        """Judge every window that is due; what was judged, in order."""
        return [self.evaluate(window, now) for window in self.due(now)]

    def latest(self) -> Evaluation | None:
        """The newest evaluation of any model, or None."""
        return self._evaluations.latest()

    def evaluations(self) -> list[Evaluation]:
        """All evaluations, in the order of judging."""
        return self._evaluations.all()

    def evaluate(self, window: Window, now: datetime) -> Evaluation:
        """Judge `window`, store the evaluation and its reports; one that is stored already comes back as it is.

        Raises:
            ConflictError: the endpoint serves another model by now.
        """
        deployment = self._champion.deployment()
        if deployment is None or deployment.digest != window.model:
            raise ConflictError(
                f"Window {window.id} is the model {window.model[:12]}…'s, and endpoint '{self._endpoint.name}' serves "
                f"{deployment.digest[:12] + '…' if deployment else 'none'}.",
                next_step="Ask again which windows are due.",
            )
        evaluation_id = self._evaluations.key(deployment.generation, window)
        reports = f"reports/{evaluation_id}"
        relation = self._rows.relation(window)
        rows = int(self._warehouse.query(f"SELECT count(*) FROM {relation} AS source").column(0)[0].as_py())  # noqa: S608
        checks: list[CheckOutcome] = []
        failed: list[str] = []
        quality, judged_rows = None, 0
        if self._spec.quality is not None:
            found, judged_rows = self._quality(self._spec.quality, deployment, relation, reports)
            quality = found.value
            checks.append(found.outcome)
            failed += ["quality"] * found.failed
        drifts: list[FeatureDrift] = []
        if self._spec.drift is not None:
            drifts = self._drift(deployment, relation, reports)
            verdict = check_drift(
                self._expectations,
                drifts,
                suite=f"{self._system}/{self._spec.name}",
                run=evaluation_id.rpartition("/")[2],
                unknown=self._unknown(deployment, relation, drifts),
            )
            checks += verdict.outcomes
            failed += ["drift"] * bool(verdict.failed)
        if self._spec.corrections is not None:
            corrected = self._corrections(self._spec.corrections, deployment)
            checks.append(corrected)
            failed += ["corrections"] * (not corrected.passed)
        before = self._evaluations.latest(deployment.digest)
        since = datetime.fromisoformat(before.judged_at if before else deployment.created_at)
        late_rows = self._rows.late(upto=window.after, since=since)
        evidence = {
            "evaluation": evaluation_id,
            "window": f"{window.first} … {window.upto}",
            "version": deployment.version,
            "generation": deployment.generation,
            **({} if late_rows is None else {"late_rows": late_rows}),
        }
        evaluation = Evaluation(
            id=evaluation_id,
            window=window,
            rows=rows,
            judged_rows=judged_rows,
            model=deployment.model,
            generation=deployment.generation,
            version=deployment.version,
            digest=deployment.digest,
            judged_at=now.isoformat(),
            metric=self._spec.quality.metric if self._spec.quality else None,
            quality=quality,
            threshold=self._spec.quality.threshold if self._spec.quality else None,
            drift=tuple(d.to_json() for d in drifts),
            failed=tuple(failed),
            reports=f"{reports}/",
            checks=tuple(replace(c, metadata={**c.metadata, **evidence}) for c in checks),
            late_rows=late_rows,
        )
        self._report(f"{reports}/evaluation.json", evaluation.to_json())
        return self._evaluations.add(evaluation)

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
                self._report(f"{reports}/model_quality/{name}", document)
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
        self._report(f"{reports}/statistics.json", sagemaker.statistics(sample))
        self._report(f"{reports}/constraints.json", sagemaker.constraints(baseline, threshold=spec.threshold))
        self._report(f"{reports}/constraint_violations.json", sagemaker.violations(baseline, sample, drifts))
        return drifts

    def _corrections(self, spec: CorrectionsSpec, deployment: Deployment) -> CheckOutcome:
        snapshot = self._champion.snapshot(deployment)
        manifest = read_manifest(self._store, snapshot)
        loaded = None
        if manifest.get("built_at"):
            loaded = self._rows.late(
                first=manifest["window_first"],
                upto=self._trained_to(deployment),
                since=datetime.fromisoformat(manifest["built_at"]),
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

    def _trained_to(self, deployment: Deployment) -> str:
        window = self._features.window
        if window is None or window.column != self._spec.window.column:
            raise SpecError(
                f"Monitor '{self._spec.name}' has windows over '{self._spec.window.column}', and its model's feature set "
                f"'{self._features.name}' has {f'one over {window.column!r}' if window else 'none'}.",
                next_step=f"Give '{self._features.name}' a window over '{self._spec.window.column}': it says where training ends.",
            )
        return self._champion.trained_to(deployment)

    def _ends_in_the_future(self, deployment: Deployment, after: str, now: datetime, *, judged: bool) -> StateError:
        column, table = self._spec.window.column, self._table.name
        ended = "was judged" if judged else "was trained"
        return StateError(
            f"Monitor '{self._spec.name}' would wait until then: version {deployment.version} of {deployment.model} {ended} "
            f"on rows up to {column} {after}, and it is {now.isoformat(timespec='seconds')}.",
            next_step=f"Take the rows of the future out of table '{table}', then train and deploy a new version; if they "
            f"are meant, set future_s of '{table}' to null or more.",
        )

    def _refuse_stray(self, deployment: Deployment, after: str, *, since: str) -> None:
        """That rows which come do not all lie before where the next window would begin. Raises StateError."""
        overtaken = self._rows.overtaken(after, since=datetime.fromisoformat(since))
        if overtaken < self._spec.window.size:
            return
        column, table = self._spec.window.column, self._table.name
        raise StateError(
            f"Monitor '{self._spec.name}' waits for rows behind {column} {after}, where version {deployment.version} of "
            f"{deployment.model} was trained or judged last, and all that came since ({overtaken} values of {column}) "
            "lie before it.",
            next_step=f"Look for a wrong {column} in table '{table}' (the newest is one), take it out, then train and deploy "
            "a new version.",
        )

    def _report(self, key: str, document: dict[str, Any]) -> None:
        self._store.put(key, json.dumps(document, indent=1, default=str).encode())
