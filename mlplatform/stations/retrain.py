"""Retraining: turns failed evaluations, and the first data, into requests that a run takes.

Requests are items of the collection `retrain_requests`, keyed ``<system>/<endpoint>/<number>`` (or by the model, where
no endpoint serves it); the number is one more than the newest's and written only where it is not there, so that of two processes that decide at once one
writes and the other finds the request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlplatform.core.retrain import Finding, Outcome, Policy, Request, decide, lost, may_train_first
from mlplatform.core.sql import identifier
from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.ports.item_store import Item, ItemStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.monitor import MonitorSpec, RetrainSpec
from mlplatform.spec.refresh import RefreshSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.evaluation import Evaluations
from mlplatform.stations.window_rows import utc

COLLECTION = "retrain_requests"
SETTLED = timedelta(seconds=5)
"""The first training waits until no row was loaded for so long, so that it does not start on half of the history …"""
PATIENCE = timedelta(seconds=60)
"""… or until rows have been arriving for so long, when all that came by then is loaded …"""
GIVEN_UP = timedelta(hours=1)
"""… or has waited for so long: something that cannot be loaded is told elsewhere, and holds up no training for ever."""


@dataclass(frozen=True)
class Decided:
    """What `decide` came to: the request it made, or None, and why in words."""

    request: Request | None
    reason: str


class Retrain:
    """Asks for trainings of one endpoint's model, or of a model that no endpoint serves.

    Args:
        station: the endpoint's name, or the model's.
        champion: gives the digest of the model in use, or None before the first.
        monitors: those of the system that watch this endpoint.
        refresh: says whether the first data start a training; None = they do not.
        doubt: why the clock is not to be believed now, or "": no request is taken for lost then.
        waiting: sources of the table with something that came by a time and is not loaded: the first training waits for it.
    """

    def __init__(
        self,
        items: ItemStore,
        warehouse: Warehouse,
        table: TableSpec,
        *,
        system: str,
        station: str,
        champion: Callable[[], str | None],
        monitors: Sequence[MonitorSpec] = (),
        refresh: RefreshSpec | None = None,
        spec_version: str = "",
        doubt: Callable[[], str] = str,
        waiting: Callable[[datetime], Collection[str]] = lambda _: (),
    ) -> None:
        self._items = items
        self._warehouse = warehouse
        self._table = table
        self._station = f"{system}/{station}"
        self._champion = champion
        self._monitors = [m for m in monitors if m.endpoint == station and m.retrain is not None]
        self._evaluations = {m.name: Evaluations(items, system=system, monitor=m.name) for m in self._monitors}
        self._refresh = refresh
        self._spec_version = spec_version
        self._doubt = doubt
        self._waiting = waiting

    def decide(self, now: datetime) -> Decided:
        """Make a request where one is due. Safe to call as often as one likes, from several processes.

        An open request of which nothing was heard for a day counts as failed, unless the clock is in doubt.
        """
        silent = lost(self.requests(), now=now)
        for request in () if silent and self._doubt() else silent:
            of = f"run '{request.run_id}'" if request.run_id else "it"
            self.finished(request.id, "failed", now, message=f"nothing was heard of {of} for a day")
        live = self._champion()
        if live is None:
            return self._first(now)
        requests = self.requests()
        reasons = []
        for monitor in self._monitors:
            evaluation = self._evaluations[monitor.name].latest(live)
            finding = None if evaluation is None else Finding(evaluation.id, evaluation.failed)
            decision = decide(finding, requests, now=now, policy=_policy(monitor.retrain))
            if decision.retrain and finding is not None:
                return self._ask(requests, decision.reason, finding.evaluation_id, decision.checks, now)
            reasons.append(f"{monitor.name}: {decision.reason}")
        return Decided(None, "; ".join(reasons) or "no monitor asks for retrainings")

    def requests(self) -> list[Request]:
        """All requests, oldest first."""
        return [Request.from_json(item.value) for item in self._items.list(COLLECTION, prefix=f"{self._station}/")]

    def pending(self) -> list[Request]:
        """Requests that no run has taken yet."""
        return [r for r in self.requests() if r.status == "requested"]

    def launched(self, request_id: str, run_id: str, now: datetime | None = None) -> Request:
        """Note that run `run_id` took the request; the same run may say so twice.

        Raises:
            ConflictError: another run took it, or it has ended.
            NotFoundError: no such request.
        """
        item, request = self._get(request_id)
        if request.status == "launched" and request.run_id == run_id:
            return request
        if request.status != "requested":
            raise ConflictError(
                f"Request '{request_id}' cannot be taken by run '{run_id}': "
                f"it is {request.status} (run '{request.run_id}').",
                next_step="Leave it to that run; ask for another retraining where one is needed.",
            )
        return self._put(item, request.launched(run_id, now or datetime.now(UTC)))

    def finished(self, request_id: str, outcome: Outcome, now: datetime | None = None, *, message: str = "") -> Request:
        """Note how the request ended; a second report changes nothing. Raises NotFoundError."""
        item, request = self._get(request_id)
        if not request.open:
            return request
        return self._put(item, request.finished(outcome, now or datetime.now(UTC), message))

    def _first(self, now: datetime) -> Decided:
        if self._refresh is None or not self._refresh.first:
            return Decided(None, "there is no model yet, and the first data start no training")
        rows, oldest, newest = self._arrived()
        if rows < self._refresh.first_rows:
            return Decided(
                None,
                f"table '{self._table.name}' has {rows} rows; the first training waits for {self._refresh.first_rows}",
            )
        if oldest and newest and self._still_loading(oldest, newest, now):
            return Decided(None, f"rows of table '{self._table.name}' are still being loaded")
        requests = self.requests()
        policies = [_policy(m.retrain) for m in self._monitors] or [_policy(RetrainSpec())]
        basis = (self._spec_version, f"{rows} rows, newest {newest.isoformat() if newest else 'unknown'}")
        blocked = may_train_first(requests, basis, now=now, policy=policies[0])
        if blocked:
            return Decided(None, f"there is no model yet, but {blocked}")
        why = f"first training: table '{self._table.name}' has {rows} rows"
        return self._ask(requests, why, "", (), now, basis=basis)

    def _still_loading(self, oldest: datetime, newest: datetime, now: datetime) -> bool:
        """Whether more of the history is to be expected in a table whose first and last load began then."""
        # Times of the future are from before the clock was set back.
        begun = abs(now - oldest)
        if abs(now - newest) < SETTLED and begun < PATIENCE:
            return True
        # A slow load does not show in the rows before it ends.
        return begun < GIVEN_UP and bool(self._waiting(min(now, oldest + PATIENCE)))

    def _arrived(self) -> tuple[int, datetime | None, datetime | None]:
        """Rows of the table, and when the first and the last were loaded (unknown where others load it)."""
        name = identifier(self._table.schema_().name)
        loads = "NULL, NULL" if self._table.existing else "min(_loaded_at), max(_loaded_at)"
        try:
            result = self._warehouse.query(f"SELECT count(*), {loads} FROM {name}")  # noqa: S608
        except NotFoundError:
            return 0, None, None
        rows, oldest, newest = (column[0].as_py() for column in result.columns)
        return int(rows), utc(oldest) if oldest else None, utc(newest) if newest else None

    def _ask(
        self,
        requests: Sequence[Request],
        reason: str,
        evaluation_id: str,
        checks: tuple[str, ...],
        now: datetime,
        *,
        basis: tuple[str, str] = ("", ""),
    ) -> Decided:
        number = int(requests[-1].id.rpartition("/")[2]) + 1 if requests else 1
        request = Request(f"{self._station}/{number:08d}", reason, evaluation_id, checks, now, basis=basis)
        try:
            self._items.put(COLLECTION, request.id, request.to_json(), expected_version=0)
        except ConflictError:
            return Decided(None, f"request {request.id} was just made elsewhere")
        return Decided(request, reason)

    def _get(self, request_id: str) -> tuple[Item, Request]:
        item = self._items.get(COLLECTION, request_id)
        if item is None:
            raise NotFoundError(
                f"There is no retraining request '{request_id}' for '{self._station}'.",
                next_step="See those there are: mlplatform requests SYSTEM",
            )
        return item, Request.from_json(item.value)

    def _put(self, item: Item, request: Request) -> Request:
        self._items.put(COLLECTION, item.key, request.to_json(), expected_version=item.version)
        return request


def _policy(spec: RetrainSpec | None) -> Policy:
    retrain = spec or RetrainSpec()
    return Policy(tuple(retrain.checks), timedelta(seconds=retrain.cooldown_s), retrain.max_per_day)
