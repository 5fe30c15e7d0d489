"""What every SQL warehouse with transactions does alike: tables, guards, loads and erasures behind one lock on the books."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from mlplatform.adapters.warehouse.sql_books import SqlBooks
from mlplatform.adapters.warehouse.sql_erasure import erase
from mlplatform.adapters.warehouse.sql_errors import no_database
from mlplatform.adapters.warehouse.sql_load import BulkCopy, SqlLoad
from mlplatform.adapters.warehouse.sql_select import select_sql, tables_of
from mlplatform.adapters.warehouse.sql_session import SqlSession
from mlplatform.adapters.warehouse.sql_tables import SqlTables
from mlplatform.core.loads.erasure import Erased, Erasure
from mlplatform.core.loads.plan import Guard, LoadPlan, Receipt
from mlplatform.core.tables.books import check_names
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import DataError, NotFoundError, PlatformError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Maintained, Unloaded, WarehouseCapabilities

if TYPE_CHECKING:
    import pyarrow as pa


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class SqlWarehouse(ABC):
    """The tables of one system. A warehouse of its own says what it can do, how a statement's rows are read and written out, and
    what an error of a user's query means. `masked`: errors do not tell values."""

    def __init__(
        self,
        session: SqlSession,
        tables: SqlTables,
        copy: BulkCopy,
        *,
        system: str,
        now: Callable[[], datetime],
        masked: bool = False,
    ) -> None:
        self.system = system
        self._masked = masked
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

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, at: str | None = None, timeout_s: float | None = None
    ) -> pa.Table:
        select = self._select(sql, at)
        bound = [naive(value) for value in parameters]
        with self._query_errors(select, timeout_s):
            return self._session.reading(lambda: self._read(select, bound, timeout_s))

    def batches(self, sql: str, *, at: str | None = None) -> Iterator[pa.RecordBatch]:
        """See `ports.batches.Batched`."""
        import pyarrow as pa

        select = self._select(sql, at)
        with self._query_errors(select):
            for part in self._read_in_parts(select):
                yield from part.to_batches() or [pa.RecordBatch.from_pylist([], schema=part.schema)]

    def unload(
        self,
        queries: Mapping[str, str],
        store: ObjectStore,
        *,
        format: Literal["parquet", "csv"] = "parquet",  # noqa: A002
        at: str | None = None,
    ) -> dict[str, Unloaded]:
        selects = {prefix: self._select(sql, at) for prefix, sql in queries.items()}
        with self._query_errors(" UNION ALL ".join(selects.values())):
            return self._write_out(selects, store, csv=format == "csv")

    @abstractmethod
    def _read(self, select: str, parameters: Sequence[Any], timeout_s: float | None) -> pa.Table:
        """Rows of a statement in the warehouse's dialect, which is cancelled after `timeout_s`. Raises PlatformError."""

    def _read_in_parts(self, select: str) -> Iterator[pa.Table]:
        """The same a part at a time, all of one schema; one part without rows where there are none."""
        yield self._read(select, (), None)

    @abstractmethod
    def _write_out(self, selects: Mapping[str, str], store: ObjectStore, *, csv: bool) -> dict[str, Unloaded]:
        """Each statement's rows (key: the prefix of their objects), read at one state of the tables. Raises PlatformError."""

    @abstractmethod
    def _query_error(self, error: PlatformError, named: Sequence[str], timeout_s: float | None) -> PlatformError:
        """The error as one of the user's query, with what is there. `named`: tables of the query, as the dialect has them."""

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

    def _select(self, sql: str, at: str | None) -> str:
        """A user's query in the warehouse's dialect."""
        dialect = self._tables.dialect
        if at is not None:
            raise DataError(
                f"{dialect.warehouse} keeps no snapshots, found a request for version '{at}'.",
                next_step="Read the unloaded parts of that snapshot instead (`capabilities.snapshots`).",
            )
        return select_sql(sql, self._tables.schema, dialect)

    @contextmanager
    def _query_errors(self, select: str, timeout_s: float | None = None) -> Iterator[None]:
        try:
            yield
        except PlatformError as error:
            named = sorted(tables_of(select, self._tables.dialect))
            raise self._query_error(error, named, timeout_s) from (None if self._masked else error.__cause__)


def naive(value: Any) -> Any:
    """A parameter; times are kept in UTC without a zone."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
