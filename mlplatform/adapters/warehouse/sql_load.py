"""One load into an SQL warehouse: staged on this machine, brought into temporary tables in bulk, then one transaction.

No key is enforced by the warehouse. What makes a load happen once is the lock on the books, the guard row compared and
set behind it, and the count of rows that each statement wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from mlplatform.adapters.warehouse.sql_books import SqlBooks
from mlplatform.adapters.warehouse.sql_dialect import null_safe_equal
from mlplatform.adapters.warehouse.sql_files import Files, staged_files
from mlplatform.adapters.warehouse.sql_session import SqlSession
from mlplatform.adapters.warehouse.sql_tables import SqlTables
from mlplatform.adapters.warehouse.staging.draft import refused_twin
from mlplatform.adapters.warehouse.staging.source import check_unchanged
from mlplatform.core.loads.plan import LoadPlan, Receipt
from mlplatform.core.loads.receipts import balanced
from mlplatform.core.tables.books import QUARANTINE
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import BugError, ConflictError, PermissionDeniedError, PlatformError
from mlplatform.ports.object_store import ObjectStore

ROWS, RECORDS = "_staged_rows", "_staged_quarantine"
"""Temporary tables of a load: they are the session's own, and end with it. No table of a user begins so."""


class BulkCopy(Protocol):
    """How one Parquet file of this machine gets into a table."""

    def __call__(self, table: str, file: Path, *, plan: LoadPlan, store: ObjectStore, subject: str) -> None:
        """`table`: its name as SQL; `store`: where the plan's object lies. Raises PlatformError."""


class SqlLoad:
    """One plan being loaded."""

    def __init__(
        self,
        session: SqlSession,
        tables: SqlTables,
        books: SqlBooks,
        copy: BulkCopy,
        *,
        plan: LoadPlan,
        schema: TableSchema,
        store: ObjectStore,
    ) -> None:
        self._session = session
        self._tables = tables
        self._dialect = tables.dialect
        self._books = books
        self._bulk_copy = copy
        self._plan = plan
        self._schema = schema
        self._store = store
        self._target = tables.name(plan.table)
        self._quarantine = tables.name("_quarantine")
        self._rows, self._records = tables.temporary(ROWS), tables.temporary(RECORDS)
        self._subject = f"Load of '{plan.key}' into '{plan.table}'"

    def run(self, now: Callable[[], datetime]) -> Receipt:
        """Loads the object, unless that was done before. See `ports.warehouse.Warehouse.load`."""
        if (done := self._books.check(self._plan)) is not None:
            return done
        with TemporaryDirectory(prefix="warehouse-load-") as scratch:
            staged = staged_files(self._plan, self._schema, self._store, Path(scratch), now)
            check_unchanged(self._plan, self._store)
            try:
                self._copy(staged)
                return self._session.retried(lambda: self._commit(staged.receipt), self._subject)
            except PermissionDeniedError as error:
                # The warehouse names the first thing that may not be touched, which is one of the books.
                raise PermissionDeniedError(
                    f"{self._subject}: {error.message}", next_step=error.next_step
                ) from error.__cause__
            finally:
                # A broken session takes its temporary tables along.
                with suppress(PlatformError):
                    self._drop()

    def _copy(self, staged: Files) -> None:
        """Rows and records as temporary tables, outside any transaction."""
        self._drop()
        kind = self._dialect.sql_type
        rows = [(c.name, kind(c.type)) for c in self._schema.columns] + list(self._dialect.provenance_types.items())
        records = [(name, kind(logical)) for name, logical in QUARANTINE]
        for table, columns, file in ((self._rows, rows, staged.rows), (self._records, records, staged.quarantine)):
            if file is not None:
                self._session.execute(self._dialect.create_sql(table, columns, temporary=True))
                self._bulk_copy(table, file, plan=self._plan, store=self._store, subject=self._subject)

    def _commit(self, receipt: Receipt) -> Receipt:
        """The transaction: guard, rows, quarantine, replays and ledger, together or not at all."""
        plan = self._plan
        with self._session.transaction():
            self._tables.lock_books()
            if (done := self._books.check(plan)) is not None:
                return done
            receipt = replace(receipt, position=self._books.advance(plan))
            twin = self._twin(receipt)
            if twin is not None:
                receipt = refused_twin(receipt, twin)
            elif plan.supersedes and receipt.outcome == "loaded":
                batches = ", ".join(map(self._dialect.literal, plan.supersedes))
                self._session.execute(f"DELETE FROM {self._target} WHERE _batch_id IN ({batches})")
                self._session.execute(
                    f"UPDATE {self._quarantine} SET replayed_at = ? "
                    f"WHERE table_name = ? AND replayed_at IS NULL AND batch_id IN ({batches})",
                    [receipt.loaded_at.replace(tzinfo=None), plan.table],
                )
            if receipt.loaded:
                receipt = self._insert(receipt)
            if receipt.quarantined:
                names = ", ".join(self._dialect.identifier(name) for name, _ in QUARANTINE)
                self._moved(
                    f"INSERT INTO {self._quarantine} ({names}) SELECT {names} FROM {self._records}",
                    receipt.quarantined,
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
        identifier = self._dialect.identifier
        if self._schema.unique_key:
            staged = identifier(ROWS)
            same = " AND ".join(
                null_safe_equal(f"{staged}.{identifier(name)}", f"known.{identifier(name)}")
                if self._schema.column(name).nullable
                else f"{staged}.{identifier(name)} = known.{identifier(name)}"
                for name in self._schema.unique_key
            )
            twice = self._session.count(f"DELETE FROM {self._rows} USING {self._target} AS known WHERE {same}")
            receipt = replace(receipt, loaded=receipt.loaded - twice, duplicates=receipt.duplicates + twice)
        into = ", ".join(map(identifier, [*self._schema.names, *self._dialect.provenance_types]))
        self._moved(f"INSERT INTO {self._target} ({into}) SELECT {into} FROM {self._rows}", receipt.loaded)
        if self._schema.event_time is None or not receipt.loaded:
            return receipt
        column, kind = identifier(self._schema.event_time), self._schema.column(self._schema.event_time).type
        first, last = (self._dialect.text(f"{end}({column})", kind) for end in ("MIN", "MAX"))
        ends = self._session.rows(f"SELECT {first}, {last} FROM {self._rows}")
        return replace(receipt, event_time_min=_shortest(ends[0][0]), event_time_max=_shortest(ends[0][1]))

    def _moved(self, sql: str, expected: int) -> None:
        found = self._session.count(sql, subject=self._subject)
        if found != expected:
            raise BugError(
                f"{self._subject}: expected to insert {expected} rows, inserted {found}.",
                next_step="Nothing was loaded. Please report it with the object.",
            )

    def _mark_replayed(self, receipt: Receipt) -> None:
        ids = ", ".join(map(self._dialect.literal, self._plan.replays))
        found = self._session.count(
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
        for table in (self._rows, self._records):
            self._session.execute(f"DROP TABLE IF EXISTS {table}")


def _shortest(text: str | None) -> str | None:
    """A time's text without the zeros behind its seconds, which some warehouses write."""
    return text.rstrip("0").rstrip(".") if text and ":" in text and "." in text else text
