"""One load from the object to its receipt: fetch, stage, leave out duplicates, commit."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from mlplatform.adapters.warehouse.ducklake_commit import check_guard, commit, read_guard, retried
from mlplatform.adapters.warehouse.ducklake_csv import stage_csv
from mlplatform.adapters.warehouse.ducklake_duplicates import without_duplicates
from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.ducklake_jsonl import stage_jsonl
from mlplatform.adapters.warehouse.ducklake_ledger import find_receipt, loaded_before
from mlplatform.adapters.warehouse.ducklake_parquet import stage_parquet
from mlplatform.adapters.warehouse.ducklake_source import Source, check_unchanged, fetch, fsync
from mlplatform.adapters.warehouse.ducklake_stage import Bad, Job, Staged, write_quarantine
from mlplatform.adapters.warehouse.ducklake_tables import LOADS, data_folder
from mlplatform.core.loads.fits import literal, quoted
from mlplatform.core.loads.plan import CsvFormat, JsonLinesFormat, LoadPlan, Receipt
from mlplatform.core.loads.receipts import balanced
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import BugError, ConflictError, DataError, NotFoundError
from mlplatform.ports.object_store import ObjectStore

_SHOWN_BYTES = 64 * 1024
"""How much of an object that is quarantined whole is kept beside the reason."""


class Load:
    """One plan being loaded."""

    def __init__(
        self, engine: DuckLakeEngine, plan: LoadPlan, schema: TableSchema, store: ObjectStore, now: Callable[[], datetime]
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
        self._settled: tuple[Receipt, Path | None] | None = None
        self._handed_over = False

    def run(self) -> Receipt:
        """Loads the object, unless that was done before. See `ports.warehouse.Warehouse.load`."""
        if (done := self._check()) is not None:
            return done
        with TemporaryDirectory(dir=self._engine.scratch) as scratch:
            source = fetch(self._plan, self._store, Path(scratch), single_column=len(self._schema.columns) == 1)
            try:
                draft = self._draft(source, Path(scratch))
                check_unchanged(self._plan, self._store)
                return retried(lambda: self._attempt(draft), f"Load of '{self._plan.key}' into '{self._plan.table}'")
            finally:
                # A commit that raised may have happened all the same; its files are then the catalogue's. What it does
                # not know, maintenance deletes.
                if not self._handed_over:
                    self._drop()

    def _check(self) -> Receipt | None:
        """The receipt, where the batch is in the ledger already; else that the guard is where the plan expects it."""
        guard = read_guard(self._connection, self._plan.table, self._plan.shard)
        if guard is None:
            raise NotFoundError(
                f"Shard '{self._plan.shard}' of table '{self._plan.table}' has no guard row.",
                next_step="Create the table and read its guard before planning.",
            )
        done = find_receipt(self._connection, self._plan.table, self._plan.batch_id)
        if done is None:
            check_guard(self._plan, guard)
        return done

    def _draft(self, source: Source, scratch: Path) -> Receipt:
        """Stages the object; the receipt as it will be unless rows turn out to be duplicates."""
        plan = self._plan
        now = self._now()
        if plan.refuse:
            return self._refused(source, plan.refuse, now)
        folder = self._engine.data / data_folder(self._connection, plan.table)
        quarantine = self._engine.data / data_folder(self._connection, "_quarantine")
        name = f"{plan.batch_id}-{secrets.token_hex(4)}.parquet"
        for made in (folder, quarantine):
            made.mkdir(parents=True, exist_ok=True)
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
        return replace(
            self._receipt(source, now), outcome="refused", reason=why, arrived=arrived, duplicates=arrived
        )

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

    def _attempt(self, draft: Receipt) -> Receipt:
        """One try at the transaction. What is worked out against the table holds for one count of its loads only."""
        plan = self._plan
        if (done := self._check()) is not None:
            return done
        counter = read_guard(self._connection, plan.table, LOADS)
        if counter is None:
            raise BugError(f"Table '{plan.table}' has no counter of loads.")
        position = int(counter.last) + 1
        if self._settled is None or self._settled[0].position != position:
            self._settled = self._settle(replace(draft, position=position))
        receipt, rows = self._settled
        quarantine = self._quarantine if receipt.quarantined else None
        self._handed_over = True
        try:
            commit(self._connection, plan, balanced(receipt), rows=rows, quarantine=quarantine)
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
