"""One load from the object to its receipt: fetch, stage, leave out duplicates, commit."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from mlplatform.adapters.warehouse.ducklake_commit import check_guard, commit, read_guards, retried, rollback
from mlplatform.adapters.warehouse.ducklake_csv import stage_csv
from mlplatform.adapters.warehouse.ducklake_duplicates import without_duplicates
from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.ducklake_jsonl import stage_jsonl
from mlplatform.adapters.warehouse.ducklake_ledger import find_receipt, loaded_before
from mlplatform.adapters.warehouse.ducklake_parquet import stage_parquet
from mlplatform.adapters.warehouse.ducklake_source import Source, check_unchanged, fetch, fsync
from mlplatform.adapters.warehouse.ducklake_stage import Bad, Job, Staged, write_quarantine
from mlplatform.adapters.warehouse.ducklake_tables import LOADS
from mlplatform.core.loads.fits import literal, quoted
from mlplatform.core.loads.plan import CsvFormat, JsonLinesFormat, LoadPlan, Receipt
from mlplatform.core.loads.receipts import balanced
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import ConflictError, DataError, NotFoundError
from mlplatform.ports.object_store import ObjectStore

T = TypeVar("T")

_SHOWN_BYTES = 64 * 1024
"""How much of an object that is quarantined whole is kept beside the reason."""


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
                return retried(lambda: self._attempt(prepared), f"Load of '{self._plan.key}' into '{self._plan.table}'")
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
        draft = self._draft(source, scratch)
        return _Prepared(draft, *self._settle(replace(draft, position=state + 1)))

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
        """Stages the object; the receipt as it will be unless rows turn out to be duplicates."""
        plan = self._plan
        now = self._now()
        if plan.refuse:
            return self._refused(source, plan.refuse, now)
        folder, quarantine = self._engine.folder(plan.table), self._engine.folder("_quarantine")
        name = f"{plan.batch_id}-{secrets.token_hex(4)}.parquet"
        job = Job(self._connection, plan, self._schema, now, folder / name, quarantine / name, scratch)
        self._staged_rows, self._quarantine = job.rows_file, job.quarantine_file
        try:
            staged = self._stage(job, source)
            arrived = source.count()
        except DataError as error:
            return self._unparseable(job, source, error)
        if staged.total != arrived:
            mismatch = DataError(f"the object has {arrived} records by its bytes, and {staged.total} by the parser")
            return self._unparseable(job, source, mismatch)
        return replace(
            self._receipt(source, now),
            arrived=arrived,
            loaded=staged.rows,
            quarantined=staged.quarantined,
            duplicates=staged.skipped,
            filtered=staged.filtered,
        )

    def _stage(self, job: Job, source: Source) -> Staged:
        if source.error is not None:
            raise source.error
        if isinstance(self._plan.format, CsvFormat):
            return stage_csv(job, source, self._plan.format)
        if isinstance(self._plan.format, JsonLinesFormat):
            return stage_jsonl(job, source)
        return stage_parquet(job, source)

    def _receipt(self, source: Source, now: datetime) -> Receipt:
        plan = self._plan
        return Receipt(
            batch_id=plan.batch_id,
            table=plan.table,
            shard=plan.shard,
            last=plan.last,
            upto=plan.upto,
            epoch=plan.epoch,
            key=plan.key,
            etag=plan.etag,
            content_sha256=source.sha256,
            outcome="loaded",
            arrived=0,
            loaded=0,
            quarantined=0,
            duplicates=0,
            filtered=0,
            loaded_at=now,
        )

    def _refused(self, source: Source, why: str, now: datetime) -> Receipt:
        try:
            arrived = source.count()
        except DataError:
            arrived = 1
        return replace(self._receipt(source, now), outcome="refused", reason=why, arrived=arrived, duplicates=arrived)

    def _unparseable(self, job: Job, source: Source, error: DataError) -> Receipt:
        job.rows_file.unlink(missing_ok=True)
        job.quarantine_file.unlink(missing_ok=True)
        with suppress(DataError):
            source.count()
        why = f"Object '{self._plan.key}': {error}"
        with self._store.open(self._plan.key) as file:
            write_quarantine(job, [Bad("", why, file.read(_SHOWN_BYTES))])
        return replace(
            self._receipt(source, job.loaded_at), outcome="unparseable", reason=why, arrived=1, quarantined=1
        )

    def _attempt(self, prepared: _Prepared) -> Receipt:
        """One try at the transaction; after the first, what was worked out against the table may have to be again."""
        if self._handed_over:
            state = self._reading(self._state)
            if isinstance(state, Receipt):
                return state
            if state + 1 != prepared.receipt.position:
                draft = replace(prepared.draft, position=state + 1)
                prepared.receipt, prepared.rows = self._reading(lambda: self._settle(draft))
        receipt, rows = balanced(prepared.receipt), prepared.rows
        quarantine = self._quarantine if receipt.quarantined else None
        self._handed_over = True
        try:
            commit(self._connection, self._plan, receipt, rows=rows, quarantine=quarantine)
        except ConflictError:
            self._handed_over = False
            raise
        self._drop(but=(rows, quarantine))
        return receipt

    def _settle(self, draft: Receipt) -> tuple[Receipt, Path | None]:
        """The receipt with policies and duplicates applied, and the file of rows to add."""
        plan, rows = self._plan, self._staged_rows
        if draft.outcome == "loaded" and plan.same_content == "refuse":
            twin = loaded_before(self._connection, plan.table, draft.content_sha256, plan.key, plan.supersedes)
            if twin is not None:
                why = f"Object '{plan.key}' has the same bytes as '{twin}', which was loaded before."
                return replace(
                    draft, outcome="refused", reason=why, loaded=0, quarantined=0, filtered=0, duplicates=draft.arrived
                ), None
        if draft.quarantined and self._quarantine is not None:
            fsync(self._quarantine)
        if not draft.loaded or rows is None:
            return draft, None
        if self._schema.unique_key:
            if self._unique_rows is not None:
                self._unique_rows.unlink(missing_ok=True)
            self._unique_rows = rows.with_name(f"{rows.stem}-{draft.position}.parquet")
            twice = without_duplicates(self._connection, plan, self._schema, rows, self._unique_rows)
            if twice:
                draft = replace(draft, loaded=draft.loaded - twice, duplicates=draft.duplicates + twice)
                rows = self._unique_rows
        if not draft.loaded:
            return draft, None
        fsync(rows)
        return self._with_event_times(draft, rows), rows

    def _with_event_times(self, receipt: Receipt, rows: Path) -> Receipt:
        if self._schema.event_time is None:
            return receipt
        column = quoted(self._schema.event_time)
        row = self._connection.execute(
            f"SELECT CAST(min({column}) AS VARCHAR), CAST(max({column}) AS VARCHAR) FROM read_parquet({literal(str(rows))})"
        ).fetchone()
        return receipt if row is None else replace(receipt, event_time_min=row[0], event_time_max=row[1])

    def _drop(self, *, but: tuple[Path | None, ...] = ()) -> None:
        for file in (self._staged_rows, self._unique_rows, self._quarantine):
            if file is not None and file not in but:
                file.unlink(missing_ok=True)
