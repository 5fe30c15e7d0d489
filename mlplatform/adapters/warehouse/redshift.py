"""Amazon Redshift as a warehouse: a schema a system, rows in and out through S3.

https://docs.aws.amazon.com/redshift/latest/dg/. What it gives: loads, scans and unloads over many nodes, transactions.
What it does not: snapshots that can be read later, a histogram function, texts above 65,535 bytes; no key is enforced
(unique keys are checked in SQL while loading). It merges and vacuums by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from mlplatform.adapters.warehouse.redshift_books import RedshiftBooks
from mlplatform.adapters.warehouse.redshift_connection import RedshiftConnection, RedshiftSettings
from mlplatform.adapters.warehouse.redshift_erasure import erase
from mlplatform.adapters.warehouse.redshift_errors import query_error
from mlplatform.adapters.warehouse.redshift_load import RedshiftLoad
from mlplatform.adapters.warehouse.redshift_results import arrow_table
from mlplatform.adapters.warehouse.redshift_sql import LONGEST_VARCHAR_BYTES, select_sql, tables_of
from mlplatform.adapters.warehouse.redshift_tables import RedshiftTables
from mlplatform.adapters.warehouse.redshift_unload import run_unload
from mlplatform.core.loads.erasure import Erased, Erasure
from mlplatform.core.loads.plan import Guard, LoadPlan, Receipt
from mlplatform.core.tables.books import check_names
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import DataError, NotFoundError, PlatformError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Maintained, Unloaded, WarehouseCapabilities

if TYPE_CHECKING:
    import pyarrow as pa

    from mlplatform.ports.secrets import Secrets


def _utc_now() -> datetime:
    return datetime.now(UTC)


class RedshiftWarehouse:
    """The tables of `system`. Connects on first use; the object stores that it is given must be S3.

    `masked`: errors do not tell values.
    """

    def __init__(
        self,
        settings: RedshiftSettings,
        secrets: Secrets,
        *,
        system: str,
        now: Callable[[], datetime] = _utc_now,
        masked: bool = False,
    ) -> None:
        self.system = system
        self._masked = masked
        self._connection = RedshiftConnection(settings, secrets, masked=masked)
        self._tables = RedshiftTables(self._connection, f"{settings.schema_prefix}{system}")
        self._books = RedshiftBooks(self._connection, self._tables)
        self._now = now

    @property
    def capabilities(self) -> WarehouseCapabilities:
        return WarehouseCapabilities(
            dialect="redshift",
            snapshots=False,
            min_batch_interval_s=60.0,
            longest_text_bytes=LONGEST_VARCHAR_BYTES,
            null_bytes=False,
        )

    def create(self, schema: TableSchema) -> None:
        check_names(schema)
        self._connection.retried(lambda: self._tables.create(schema), f"Table '{schema.name}'")

    def guard(self, table: str, shard: str, *, claim: bool = False) -> Guard:
        if not self._tables.columns(table):
            raise NotFoundError(f"The warehouse has no table '{table}'.", next_step="Create it first.")
        found = self._books.guard(table, shard)
        if found is not None and not claim:
            return found
        return self._connection.retried(
            lambda: self._claim(table, shard, claim), f"Guard of '{table}', shard '{shard}'"
        )

    def _claim(self, table: str, shard: str, claim: bool) -> Guard:
        with self._connection.transaction():
            self._tables.lock_books()
            return self._books.claim(table, shard, claim=claim)

    def load(self, plan: LoadPlan, schema: TableSchema, store: ObjectStore) -> Receipt:
        can = self.capabilities
        limited = schema.limited(longest_bytes=can.longest_text_bytes, null_byte=can.null_bytes)
        load = RedshiftLoad(self._connection, self._tables, self._books, plan=plan, schema=limited, store=store)
        return load.run(self._now)

    def erase(self, erasure: Erasure) -> Erased:
        return self._connection.retried(
            lambda: erase(self._connection, self._tables, erasure), f"Erasure from table '{erasure.table}'"
        )

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, at: str | None = None, timeout_s: float | None = None
    ) -> pa.Table:
        self._refuse_version(at)
        select = select_sql(sql, self._tables.schema)
        bound = [_naive(value) for value in parameters]
        if timeout_s is not None:
            self._connection.execute(f"SET statement_timeout TO {max(1, round(timeout_s * 1000))}")
        try:
            return arrow_table(self._connection.execute(select, bound))
        except PlatformError as error:
            raise self._query_error(error, select, timeout_s) from (None if self._masked else error.__cause__)
        finally:
            if timeout_s is not None:
                self._connection.execute("SET statement_timeout TO 0")

    def unload(
        self,
        queries: Mapping[str, str],
        store: ObjectStore,
        *,
        format: Literal["parquet", "csv"] = "parquet",  # noqa: A002
        at: str | None = None,
    ) -> dict[str, Unloaded]:
        self._refuse_version(at)
        selects = {prefix: select_sql(sql, self._tables.schema) for prefix, sql in queries.items()}
        try:
            return run_unload(self._connection, self._books, selects, store, csv=format == "csv")
        except PlatformError as error:
            raise self._query_error(error, " UNION ALL ".join(selects.values()), None) from (
                None if self._masked else error.__cause__
            )

    def maintain(
        self,
        *,
        now: datetime,  # noqa: ARG002
        keep: timedelta,  # noqa: ARG002
        pinned: Sequence[str] = (),  # noqa: ARG002
        on_progress: Callable[[str], None] | None = None,  # noqa: ARG002
    ) -> Maintained:
        """Nothing: Redshift merges, vacuums and analyzes by itself (`capabilities.maintenance`)."""
        return Maintained(files_before=0, files_after=0)

    def close(self) -> None:
        """Ends the session. The next call opens another."""
        self._connection.close()

    def _refuse_version(self, at: str | None) -> None:
        if at is not None:
            raise DataError(
                f"Redshift keeps no snapshots, found a request for version '{at}'.",
                next_step="Read the unloaded parts of that snapshot instead (`capabilities.snapshots`).",
            )

    def _query_error(self, error: PlatformError, select: str, timeout_s: float | None) -> PlatformError:
        """The query's error, with what is there."""
        columns = [column for table in sorted(tables_of(select)) for column in self._tables.columns(table)]
        tables = self._tables.names()
        return query_error(error, tables=tables, columns=columns, timeout_s=timeout_s, masked=self._masked)


def _naive(value: Any) -> Any:
    """A parameter; times are kept in UTC without a zone."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value
