"""Monitor: judges each window of arrived rows for the champion that serves, once, with drift and quality as checks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime

from mlplatform.core.drift.profile import Field, Profile
from mlplatform.core.drift.profile_sql import take_baseline
from mlplatform.core.drift.windows import Window, tumble
from mlplatform.errors import ConflictError, SpecError, StateError
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
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.champion_package import Champion
from mlplatform.stations.evaluation import Evaluation, Evaluations
from mlplatform.stations.seen import Seen, trained_on
from mlplatform.stations.window_checks import WindowChecks, put_report
from mlplatform.stations.window_rows import WindowRows


class Monitor:
    """Watches one endpoint's model on the rows that arrive.

    Args:
        endpoint, model, features, table: the specs that `spec` refers to, directly and through them.
        personal: columns of the feature set whose values are told nowhere.
        query_sql: text of the feature set's query.
        capture_table: the warehouse's table of captured predictions, for `predictions: captured`.
        waiting: sources of the table with something that came by a time and is not loaded; no window is judged without it.
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
        personal: frozenset[str] = frozenset(),
        waiting: Callable[[datetime], Collection[str]] = lambda _: (),
    ) -> None:
        self._warehouse = warehouse
        self._store = store
        self._spec = spec
        self._endpoint = endpoint
        self._features = features
        self._personal = personal
        self._table = table
        self._rows = WindowRows(warehouse, table, query_sql=query_sql, column=spec.window.column, waiting=waiting)
        self._trained: tuple[str, Seen] | None = None
        self._evaluations = Evaluations(items, system=system, monitor=spec.name)
        self._champion = Champion(endpoints, tracking, runtimes, endpoint=f"{system}/{endpoint.name}")
        self._checks = WindowChecks(
            warehouse,
            store,
            expectations,
            self._champion,
            self._rows,
            spec,
            endpoint,
            model,
            features,
            table,
            suite=f"{system}/{spec.name}",
            capture_table=capture_table or f"{endpoint.name}_capture",
        )

    def baseline(self, relation: str) -> Profile:
        """The profile of `relation` (what stands behind FROM) on bins of its own: what later windows are judged against."""
        fields = [Field(f.name, f.transform, f.name in self._personal) for f in self._features.features]
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
            self._refuse_stray(deployment, after, since=self._seen(deployment, newest))
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

    def judge(self, now: datetime) -> Iterator[Evaluation]:
        """Judge every window that is due, in order, each as it is asked for; none is left of a champion that went meanwhile."""
        for window in self.due(now):
            try:
                yield self.evaluate(window, now)
            except ConflictError:
                return

    def run(self, now: datetime) -> list[Evaluation]:
        """Judge every window that is due; what was judged, in order."""
        return list(self.judge(now))

    def untold(self) -> list[Evaluation]:
        """See `Evaluations.untold`."""
        return self._evaluations.untold()

    def told(self, evaluation: Evaluation) -> None:
        """See `Evaluations.told`."""
        self._evaluations.told(evaluation)

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
        relation, position = self._rows.relation(window), self._rows.position()
        rows = int(self._warehouse.query(f"SELECT count(*) FROM {relation} AS source").column(0)[0].as_py())  # noqa: S608
        judged = self._checks.judge(deployment, relation, name=evaluation_id.rpartition("/")[2], reports=reports)
        before = self._evaluations.latest(deployment.digest)
        late_rows = self._rows.late(upto=window.after, since=self._seen(deployment, before))
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
            judged_rows=judged.quality_rows,
            model=deployment.model,
            generation=deployment.generation,
            version=deployment.version,
            digest=deployment.digest,
            judged_at=now.isoformat(),
            metric=self._spec.quality.metric if self._spec.quality else None,
            quality=judged.quality,
            threshold=self._spec.quality.threshold if self._spec.quality else None,
            drift=tuple(d.to_json() for d in judged.drifts),
            failed=judged.failed,
            reports=f"{reports}/",
            checks=tuple(replace(c, metadata={**c.metadata, **evidence}) for c in judged.outcomes),
            late_rows=late_rows,
            position=position,
        )
        put_report(self._store, f"{reports}/evaluation.json", evaluation.to_json())
        return self._evaluations.add(evaluation)

    def _seen(self, deployment: Deployment, before: Evaluation | None) -> Seen:
        """Up to which load rows were judged before, or trained on."""
        if before is not None:
            return Seen(before.position, datetime.fromisoformat(before.judged_at))
        if self._trained is None or self._trained[0] != deployment.digest:
            name = self._table.schema_().name
            seen = trained_on(self._store, self._champion.snapshot(deployment), name)
            self._trained = deployment.digest, seen or Seen(None, datetime.fromisoformat(deployment.created_at))
        return self._trained[1]

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

    def _refuse_stray(self, deployment: Deployment, after: str, *, since: Seen) -> None:
        """That rows which come do not all lie before where the next window would begin. Raises StateError."""
        overtaken = self._rows.overtaken(after, since=since)
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
