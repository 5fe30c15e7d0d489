"""Snowflake as a warehouse: a schema a system, rows in by PUT and COPY INTO, out as Arrow.

https://docs.snowflake.com/en/. What it gives: loads and scans on a warehouse of its own, transactions, results as Arrow in
batches. What it does not: an enforced key (unique keys are checked in SQL while loading), a histogram function; its time
travel ends when the account's retention does, whatever a model pins, so that no snapshot is promised. Names are upper case
there, and lower case here. It merges and cleans up by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from mlplatform.adapters.warehouse.snowflake_connection import SnowflakeConnection
from mlplatform.adapters.warehouse.snowflake_copy import SnowflakeCopy
from mlplatform.adapters.warehouse.snowflake_errors import query_error
from mlplatform.adapters.warehouse.snowflake_results import arrow_batches, arrow_table
from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings
from mlplatform.adapters.warehouse.snowflake_sql import DIALECT, LONGEST_VARCHAR_BYTES, lower, select_sql
from mlplatform.adapters.warehouse.snowflake_tables import SnowflakeTables
from mlplatform.adapters.warehouse.snowflake_unload import run_unload
from mlplatform.adapters.warehouse.sql_select import tables_of
from mlplatform.adapters.warehouse.sql_warehouse import SqlWarehouse, naive, utc_now
from mlplatform.core.loads.erasure import Erased, Erasure
from mlplatform.core.loads.plan import LoadPlan, Receipt
from mlplatform.core.tables.schema import TableSchema
from mlplatform.errors import PlatformError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Unloaded, WarehouseCapabilities

if TYPE_CHECKING:
    import pyarrow as pa

    from mlplatform.ports.secrets import Secrets


class SnowflakeWarehouse(SqlWarehouse):
    """The tables of `system`. Connects on first use. `masked`: errors do not tell values."""

    def __init__(
        self,
        settings: SnowflakeSettings,
        secrets: Secrets,
        *,
        system: str,
        now: Callable[[], datetime] = utc_now,
        masked: bool = False,
    ) -> None:
        self._masked = masked
        schema = f"{settings.schema_prefix}{system}"
        self._connection = SnowflakeConnection(settings, secrets, system=system, schema=schema, masked=masked)
        self._tables: SnowflakeTables = SnowflakeTables(self._connection, schema)
        copy = SnowflakeCopy(self._connection, self._tables.name("_staging"))
        super().__init__(self._connection, self._tables, copy, system=system, now=now)

    @property
    def capabilities(self) -> WarehouseCapabilities:
        return WarehouseCapabilities(
            dialect="snowflake",
            snapshots=False,
            min_batch_interval_s=60.0,
            longest_text_bytes=LONGEST_VARCHAR_BYTES,
        )

    def load(self, plan: LoadPlan, schema: TableSchema, store: ObjectStore) -> Receipt:
        with self._connection.tagged(call="load", table=plan.table, batch=plan.batch_id):
            return super().load(plan, schema, store)

    def erase(self, erasure: Erasure) -> Erased:
        with self._connection.tagged(call="erase", table=erasure.table, erasure=erasure.id):
            return super().erase(erasure)

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, at: str | None = None, timeout_s: float | None = None
    ) -> pa.Table:
        self._refuse_version(at)
        select = select_sql(sql, self._tables.schema)
        bound = [naive(value) for value in parameters]

        def attempt() -> pa.Table:
            cursor = self._connection.execute(select, bound, timeout_s=timeout_s)
            with self._connection.mapped("Result of a query"):
                return arrow_table(cursor)

        try:
            with self._connection.tagged(call="query"):
                return self._connection.reading(attempt)
        except PlatformError as error:
            raise self._query_error(error, select, timeout_s) from (None if self._masked else error.__cause__)

    def batches(self, sql: str, *, at: str | None = None) -> Iterator[pa.RecordBatch]:
        """See `ports.batches.Batched`: a result's parts are downloaded as they are asked for."""
        import pyarrow as pa

        self._refuse_version(at)
        select = select_sql(sql, self._tables.schema)
        try:
            with self._connection.tagged(call="batches"):
                cursor = self._connection.reading(lambda: self._connection.execute(select))
        except PlatformError as error:
            raise self._query_error(error, select, None) from (None if self._masked else error.__cause__)
        with self._connection.mapped("Result of a query"):
            for table in arrow_batches(cursor):
                yield from table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]

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
            with self._connection.tagged(call="unload"):
                return run_unload(self._connection, self._tables, self._books, selects, store, csv=format == "csv")
        except PlatformError as error:
            raise self._query_error(error, " UNION ALL ".join(selects.values()), None) from (
                None if self._masked else error.__cause__
            )

    def _query_error(self, error: PlatformError, select: str, timeout_s: float | None) -> PlatformError:
        """The query's error, with what is there."""
        if error.retryable and timeout_s is None:
            return error
        named = sorted(lower(table) for table in tables_of(select, DIALECT))
        columns = [column for table in named for column in self._tables.columns(table)]
        return query_error(
            error, named=named, tables=self._tables.names(), columns=columns, timeout_s=timeout_s, masked=self._masked
        )
