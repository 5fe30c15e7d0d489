"""What every SQL warehouse with transactions does alike: tables, guards, loads and erasures behind one lock on the books."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mlplatform.adapters.warehouse.sql_books import SqlBooks
from mlplatform.adapters.warehouse.sql_erasure import erase
from mlplatform.adapters.warehouse.sql_errors import no_database
from mlplatform.adapters.warehouse.sql_load import BulkCopy, SqlLoad
from mlplatform.adapters.warehouse.sql_session import SqlSession
from mlplatform.adapters.warehouse.sql_tables import SqlTables
from mlplatform.core.loads.erasure import Erased, Erasure
from mlplatform.core.loads.plan import Guard, LoadPlan, Receipt
from mlplatform.core.tables.books import check_names
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import DataError, NotFoundError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Maintained, WarehouseCapabilities


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class SqlWarehouse(ABC):
    """The tables of one system. A warehouse of its own adds its capabilities, `query` and `unload`."""

    def __init__(
        self, session: SqlSession, tables: SqlTables, copy: BulkCopy, *, system: str, now: Callable[[], datetime]
    ) -> None:
        self.system = system
        self._session = session
        self._tables = tables
        self._books = SqlBooks(session, tables)
        self._copy = copy
        self._now = now

    @property
    @abstractmethod
    def capabilities(self) -> WarehouseCapabilities: ...

    def create(self, schema: TableSchema) -> None:
        check_names(schema)
        self._session.retried(lambda: self._tables.create(schema), f"Table '{schema.name}'")

    def guard(self, table: str, shard: str, *, claim: bool = False) -> Guard:
        if not self._tables.columns(table):
            raise NotFoundError(f"The warehouse has no table '{table}'.", next_step="Create it first.")
        found = self._books.guard(table, shard)
        if found is not None and not claim:
            return found
        return self._session.retried(lambda: self._claim(table, shard, claim), f"Guard of '{table}', shard '{shard}'")

    def _claim(self, table: str, shard: str, claim: bool) -> Guard:
        with self._session.transaction():
            self._tables.lock_books()
            return self._books.claim(table, shard, claim=claim)

    def load(self, plan: LoadPlan, schema: TableSchema, store: ObjectStore) -> Receipt:
        can = self.capabilities
        limited = schema.limited(longest_bytes=can.longest_text_bytes, null_byte=can.null_bytes)
        load = SqlLoad(self._session, self._tables, self._books, self._copy, plan=plan, schema=limited, store=store)
        return load.run(self._now)

    def erase(self, erasure: Erasure) -> Erased:
        return self._session.retried(
            lambda: erase(self._session, self._tables, erasure), f"Erasure from table '{erasure.table}'"
        )

    def maintain(
        self,
        *,
        now: datetime,  # noqa: ARG002
        keep: timedelta,  # noqa: ARG002
        pinned: Sequence[str] = (),  # noqa: ARG002
        on_progress: Callable[[str], None] | None = None,  # noqa: ARG002
    ) -> Maintained:
        """Nothing: such a warehouse merges and cleans up by itself (`capabilities.maintenance`)."""
        return Maintained(files_before=0, files_after=0)

    def databases(self) -> list[str]:
        """See `ports.browsing.Browsable`."""
        return sorted({*self._tables.databases(), self._tables.schema})

    def tables(self, database: str | None = None) -> dict[str, dict[str, str]]:
        """See `ports.browsing.Browsable`."""
        if database is not None and database not in (there := self.databases()):
            raise no_database(database, there)
        found = self._tables.of(database or self._tables.schema)
        return {name: found.columns(name) for name in found.names()}

    def close(self) -> None:
        """Ends the session. The next call opens another."""
        self._session.close()

    def _refuse_version(self, at: str | None) -> None:
        if at is not None:
            raise DataError(
                f"{self._tables.dialect.warehouse} keeps no snapshots, found a request for version '{at}'.",
                next_step="Read the unloaded parts of that snapshot instead (`capabilities.snapshots`).",
            )


def naive(value: Any) -> Any:
    """A parameter; times are kept in UTC without a zone."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
