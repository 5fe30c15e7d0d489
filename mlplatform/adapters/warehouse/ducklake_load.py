"""One load from the object to its receipt: fetch, stage, leave out duplicates, commit."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from mlplatform.adapters.warehouse.ducklake_commit import commit, read_guards, retried, rollback
from mlplatform.adapters.warehouse.ducklake_duplicates import without_duplicates
from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.ducklake_ledger import find_receipt, loaded_before
from mlplatform.adapters.warehouse.staging.draft import draft, refused_twin
from mlplatform.adapters.warehouse.staging.job import Job
from mlplatform.adapters.warehouse.staging.source import Source, check_unchanged, fetch
from mlplatform.core.loads.guards import LOADS, check_guard
from mlplatform.core.loads.plan import LoadPlan, Receipt
from mlplatform.core.loads.receipts import balanced
from mlplatform.core.sql import identifier, literal
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.ports.object_store import ObjectStore

T = TypeVar("T")


@dataclass
class _Prepared:
    """What to commit: the receipt and rows as they are for one count of the table's loads, made from `draft`."""

    draft: Receipt
    receipt: Receipt
    rows: Path | None


class Load:
    """One plan being loaded."""

    def __init__(
        self,
        engine: DuckLakeEngine,
        plan: LoadPlan,
        schema: TableSchema,
        store: ObjectStore,
        now: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._connection = engine.writer()
        self._plan = plan
        self._schema = schema
        self._store = store
        self._now = now
        self._staged_rows: Path | None = None
        self._quarantine: Path | None = None
        self._unique_rows: Path | None = None
        self._handed_over = False
        self._locations: dict[Path, str] = {}

    def run(self) -> Receipt:
        """Loads the object, unless that was done before. See `ports.warehouse.Warehouse.load`.

        Everything slow happens in one reading transaction: duplicates are looked for in the same snapshot that the
        counter of loads is read from, and the commit checks that the counter has not moved.
        """
        with TemporaryDirectory(dir=self._engine.scratch) as scratch:
            try:
                prepared = self._reading(lambda: self._prepare(Path(scratch)))
                if isinstance(prepared, Receipt):
                    return prepared
                check_unchanged(self._plan, self._store)
                subject = f"Load of '{self._plan.key}' into '{self._plan.table}'"
                return retried(lambda: self._attempt(prepared), subject, masked=self._engine.masked)
            finally:
                # A commit that raised may have happened all the same; its files are then the catalogue's. What it does
                # not know, maintenance deletes.
                if not self._handed_over:
                    self._drop()

    def _prepare(self, scratch: Path) -> _Prepared | Receipt:
        """The receipt, where the batch is in the ledger already; else what to commit."""
        state = self._state()
        if isinstance(state, Receipt):
            return state
        source = fetch(self._plan, self._store, scratch, single_column=len(self._schema.columns) == 1)
        planned = self._draft(source, scratch)
        return _Prepared(planned, *self._settle(replace(planned, position=state + 1)))

    def _reading(self, body: Callable[[], T]) -> T:
        """`body` in a transaction that only reads the warehouse."""
        self._connection.execute("BEGIN")
        try:
            return body()
        finally:
            rollback(self._connection)

    def _state(self) -> int | Receipt:
        """The table's count of loads, if the guard is where the plan expects it; the receipt, if the batch is loaded."""
        plan = self._plan
        guards = read_guards(self._connection, plan.table, (plan.shard, LOADS))
        if len(guards) != 2:
            raise NotFoundError(
                f"Shard '{plan.shard}' of table '{plan.table}' has no guard row.",
                next_step="Create the table and read its guard before planning.",
            )
        if guards[plan.shard].last != plan.last or guards[plan.shard].epoch > plan.epoch:
            done = find_receipt(self._connection, plan.table, plan.batch_id)
            if done is not None:
                return done
            check_guard(plan, guards[plan.shard])
        return int(guards[LOADS].last)

    def _draft(self, source: Source, scratch: Path) -> Receipt:
        """Stages the object beside the tables' files; the receipt as it will be unless rows turn out to be duplicates."""
        plan = self._plan
        folder, quarantine = self._engine.draft_folder(plan.table), self._engine.draft_folder("_quarantine")
        name = f"{plan.batch_id}-{secrets.token_hex(4)}.parquet"
        self._staged_rows, self._quarantine = folder / name, quarantine / name
        job = Job(self._connection, plan, self._schema, self._now(), self._staged_rows, self._quarantine, scratch)
        return draft(job, source, self._store)

    def _attempt(self, prepared: _Prepared) -> Receipt:
        """One try at the transaction; after the first, what was worked out against the table may have to be again."""
        if self._handed_over:
            state = self._reading(self._state)
            if isinstance(state, Receipt):
                return state
            if state + 1 != prepared.receipt.position:
                planned = replace(prepared.draft, position=state + 1)
                prepared.receipt, prepared.rows = self._reading(lambda: self._settle(planned))
        receipt, rows = balanced(prepared.receipt), prepared.rows
        quarantine = self._quarantine if receipt.quarantined else None
        published = self._published(self._plan.table, rows), self._published("_quarantine", quarantine)
        self._handed_over = True
        try:
            with self._engine.place.turn():
                commit(self._connection, self._plan, receipt, rows=published[0], quarantine=published[1])
        except ConflictError:
            self._handed_over = False
            raise
        self._drop(but=(rows, quarantine))
        for file in (rows, quarantine):
            if file is not None:
                self._engine.place.committed(file)
        return receipt

    def _settle(self, planned: Receipt) -> tuple[Receipt, Path | None]:
        """The receipt with policies and duplicates applied, and the file of rows to add."""
        plan, rows = self._plan, self._staged_rows
        if planned.outcome == "loaded" and plan.same_content == "refuse":
            twin = loaded_before(self._connection, plan.table, planned.content_sha256, plan.key, plan.supersedes)
            if twin is not None:
                return refused_twin(planned, twin), None
        if not planned.loaded or rows is None:
            return planned, None
        if self._schema.unique_key:
            if self._unique_rows is not None:
                self._withdraw(plan.table, self._unique_rows)
            self._unique_rows = rows.with_name(f"{rows.stem}-{planned.position}.parquet")
            twice = without_duplicates(self._connection, plan, self._schema, rows, self._unique_rows)
            if twice:
                planned = replace(planned, loaded=planned.loaded - twice, duplicates=planned.duplicates + twice)
                rows = self._unique_rows
        if not planned.loaded:
            return planned, None
        return self._with_event_times(planned, rows), rows

    def _with_event_times(self, receipt: Receipt, rows: Path) -> Receipt:
        if self._schema.event_time is None:
            return receipt
        column = identifier(self._schema.event_time)
        row = self._connection.execute(
            f"SELECT CAST(min({column}) AS VARCHAR), CAST(max({column}) AS VARCHAR) FROM read_parquet({literal(str(rows))})"
        ).fetchone()
        return receipt if row is None else replace(receipt, event_time_min=row[0], event_time_max=row[1])

    def _drop(self, *, but: tuple[Path | None, ...] = ()) -> None:
        table = self._plan.table
        for owner, file in ((table, self._staged_rows), (table, self._unique_rows), ("_quarantine", self._quarantine)):
            if file is not None and file not in but:
                self._withdraw(owner, file)

    def _published(self, table: str, file: Path | None) -> str | None:
        """The file's location, published once."""
        if file is None:
            return None
        if file not in self._locations:
            self._locations[file] = self._engine.publish(table, file)
        return self._locations[file]

    def _withdraw(self, table: str, file: Path) -> None:
        if self._locations.pop(file, None) is None:
            file.unlink(missing_ok=True)
        else:
            self._engine.withdraw(table, file)
