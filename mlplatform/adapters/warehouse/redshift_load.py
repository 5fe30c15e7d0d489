"""One load into Redshift: staged on this machine, put beside the data in S3, COPYed to temporary tables, then one transaction.

Redshift enforces no key and has no ON CONFLICT. What makes a load happen once is the lock on the books, the guard row
compared and set behind it, and the count of rows that each statement wrote.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from mlplatform.adapters.warehouse.redshift_books import RedshiftBooks
from mlplatform.adapters.warehouse.redshift_connection import RedshiftConnection
from mlplatform.adapters.warehouse.redshift_files import Files, staged_files
from mlplatform.adapters.warehouse.redshift_sql import copy_sql, create_sql, literal, null_safe_equal, sql_type
from mlplatform.adapters.warehouse.redshift_tables import PROVENANCE_TYPES, RedshiftTables
from mlplatform.adapters.warehouse.staging.draft import refused_twin
from mlplatform.adapters.warehouse.staging.source import check_unchanged
from mlplatform.core.loads.plan import LoadPlan, Receipt
from mlplatform.core.loads.receipts import balanced
from mlplatform.core.sql import identifier
from mlplatform.core.tables.books import QUARANTINE
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import BugError, ConflictError, PlatformError
from mlplatform.ports.object_store import ObjectStore

ROWS, RECORDS = '"staged_rows"', '"staged_quarantine"'
"""Temporary tables of a load: they are the session's own, and end with it."""


class RedshiftLoad:
    """One plan being loaded."""

    def __init__(
        self,
        connection: RedshiftConnection,
        tables: RedshiftTables,
        books: RedshiftBooks,
        *,
        plan: LoadPlan,
        schema: TableSchema,
        store: ObjectStore,
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._books = books
        self._plan = plan
        self._schema = schema
        self._store = store
        self._target = tables.name(plan.table)
        self._quarantine = tables.name("_quarantine")
        self._subject = f"Load of '{plan.key}' into '{plan.table}'"

    def run(self, now: Callable[[], datetime]) -> Receipt:
        """Loads the object, unless that was done before. See `ports.warehouse.Warehouse.load`."""
        if (done := self._books.check(self._plan)) is not None:
            return done
        with TemporaryDirectory(prefix="redshift-load-") as scratch:
            staged = staged_files(self._plan, self._schema, self._store, Path(scratch), now)
            check_unchanged(self._plan, self._store)
            try:
                self._copy(staged)
                return self._connection.retried(lambda: self._commit(staged.receipt), self._subject)
            finally:
                # A broken session takes its temporary tables along.
                with suppress(PlatformError):
                    self._drop()

    def _copy(self, staged: Files) -> None:
        """Rows and records as temporary tables, outside any transaction."""
        self._drop()
        rows = [(c.name, sql_type(c.type)) for c in self._schema.columns]
        records = [(name, sql_type(kind)) for name, kind in QUARANTINE]
        for table, columns, file in (
            (ROWS, [*rows, *PROVENANCE_TYPES.items()], staged.rows),
            (RECORDS, records, staged.quarantine),
        ):
            if file is not None:
                self._connection.execute(create_sql(table, columns, temporary=True))
                with self._uploaded(file) as url:
                    role = self._connection.settings.iam_role
                    self._connection.execute(copy_sql(table, url, role), subject=self._subject)

    @contextmanager
    def _uploaded(self, file: Path) -> Iterator[str]:
        """The file's URL in the object store, for as long as COPY needs it."""
        folder = f"{self._connection.settings.staging_prefix}{self._tables.schema}/{self._plan.table}"
        key = f"{folder}/{self._plan.batch_id}-{secrets.token_hex(4)}-{file.name}"
        self._store.put(key, file)
        try:
            yield self._store.url(key)
        finally:
            self._store.delete(key)

    def _commit(self, receipt: Receipt) -> Receipt:
        """The transaction: guard, rows, quarantine, replays and ledger, together or not at all."""
        plan = self._plan
        with self._connection.transaction():
            self._tables.lock_books()
            if (done := self._books.check(plan)) is not None:
                return done
            receipt = replace(receipt, position=self._books.advance(plan))
            twin = self._twin(receipt)
            if twin is not None:
                receipt = refused_twin(receipt, twin)
            elif plan.supersedes and receipt.outcome == "loaded":
                batches = ", ".join(literal(batch) for batch in plan.supersedes)
                self._connection.execute(f"DELETE FROM {self._target} WHERE _batch_id IN ({batches})")
                self._connection.execute(
                    f"UPDATE {self._quarantine} SET replayed_at = ? "
                    f"WHERE table_name = ? AND replayed_at IS NULL AND batch_id IN ({batches})",
                    [receipt.loaded_at.replace(tzinfo=None), plan.table],
                )
            if receipt.loaded:
                receipt = self._insert(receipt)
            if receipt.quarantined:
                names = ", ".join(identifier(name) for name, _ in QUARANTINE)
                self._moved(
                    f"INSERT INTO {self._quarantine} ({names}) SELECT {names} FROM {RECORDS}", receipt.quarantined
                )
            if plan.replays:
                self._mark_replayed(receipt)
            self._books.write(balanced(receipt))
        return receipt

    def _twin(self, receipt: Receipt) -> str | None:
        if receipt.outcome != "loaded" or self._plan.same_content != "refuse":
            return None
        return self._books.loaded_before(receipt, self._plan.supersedes)

    def _insert(self, receipt: Receipt) -> Receipt:
        """Rows that the table has not, by unique key; the receipt with the others counted as duplicates."""
        if self._schema.unique_key:
            same = " AND ".join(
                null_safe_equal(f"{ROWS}.{identifier(name)}", f"known.{identifier(name)}")
                if self._schema.column(name).nullable
                else f"{ROWS}.{identifier(name)} = known.{identifier(name)}"
                for name in self._schema.unique_key
            )
            twice = self._connection.count(f"DELETE FROM {ROWS} USING {self._target} AS known WHERE {same}")
            receipt = replace(receipt, loaded=receipt.loaded - twice, duplicates=receipt.duplicates + twice)
        names = [*self._schema.names, *PROVENANCE_TYPES]
        into = ", ".join(map(identifier, names))
        self._moved(f"INSERT INTO {self._target} ({into}) SELECT {into} FROM {ROWS}", receipt.loaded)
        if self._schema.event_time is None or not receipt.loaded:
            return receipt
        column = identifier(self._schema.event_time)
        ends = self._connection.rows(
            f"SELECT CAST(MIN({column}) AS VARCHAR(64)), CAST(MAX({column}) AS VARCHAR(64)) FROM {ROWS}"
        )
        return replace(receipt, event_time_min=ends[0][0], event_time_max=ends[0][1])

    def _moved(self, sql: str, expected: int) -> None:
        found = self._connection.count(sql, subject=self._subject)
        if found != expected:
            raise BugError(
                f"{self._subject}: expected to insert {expected} rows, inserted {found}.",
                next_step="Nothing was loaded. Please report it with the object.",
            )

    def _mark_replayed(self, receipt: Receipt) -> None:
        ids = ", ".join(literal(name) for name in self._plan.replays)
        found = self._connection.count(
            f"UPDATE {self._quarantine} SET replayed_at = ? "
            f"WHERE table_name = ? AND replayed_at IS NULL AND quarantine_id IN ({ids})",
            [receipt.loaded_at.replace(tzinfo=None), self._plan.table],
        )
        if found != len(self._plan.replays):
            raise ConflictError(
                f"Replay into table '{self._plan.table}': expected {len(self._plan.replays)} records that wait in "
                f"quarantine, found {found}.",
                next_step="Nothing was loaded; list the quarantine again.",
            )

    def _drop(self) -> None:
        for table in (ROWS, RECORDS):
            self._connection.execute(f"DROP TABLE IF EXISTS {table}")
