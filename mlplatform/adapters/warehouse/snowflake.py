"""Snowflake as a warehouse: a schema a system, rows in by PUT and COPY INTO, out as Arrow.

https://docs.snowflake.com/en/. What it gives: loads and scans on a warehouse of its own, transactions, results as Arrow in
batches. What it does not: an enforced key (unique keys are checked in SQL while loading), a histogram function; its time
travel ends when the account's retention does, whatever a model pins, so that no snapshot is promised. Names are upper case
there, and lower case here. It merges and cleans up by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.snowflake_connection import SnowflakeConnection
from mlplatform.adapters.warehouse.snowflake_copy import SnowflakeCopy
from mlplatform.adapters.warehouse.snowflake_errors import query_error
from mlplatform.adapters.warehouse.snowflake_results import arrow_batches, arrow_table
from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings
from mlplatform.adapters.warehouse.snowflake_sql import LONGEST_VARCHAR_BYTES, lower
from mlplatform.adapters.warehouse.snowflake_tables import SnowflakeTables
from mlplatform.adapters.warehouse.snowflake_unload import run_unload
from mlplatform.adapters.warehouse.sql_warehouse import SqlWarehouse, utc_now
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
        schema = f"{settings.schema_prefix}{system}"
        self._connection = SnowflakeConnection(settings, secrets, system=system, schema=schema, masked=masked)
        self._tables: SnowflakeTables = SnowflakeTables(self._connection, schema)
        copy = SnowflakeCopy(self._connection, self._tables.name("_staging"))
        super().__init__(self._connection, self._tables, copy, system=system, now=now, masked=masked)

    @property
    def capabilities(self) -> WarehouseCapabilities:
        return WarehouseCapabilities(
            dialect="snowflake",
            snapshots=False,
            min_batch_interval_s=self._connection.settings.min_batch_interval_s,
            longest_text_bytes=LONGEST_VARCHAR_BYTES,
        )

    def load(self, plan: LoadPlan, schema: TableSchema, store: ObjectStore) -> Receipt:
        with self._connection.tagged(call="load", table=plan.table, batch=plan.batch_id):
            return super().load(plan, schema, store)

    def erase(self, erasure: Erasure) -> Erased:
        with self._connection.tagged(call="erase", table=erasure.table, erasure=erasure.id):
            return super().erase(erasure)

    def _read(self, select: str, parameters: Sequence[Any], timeout_s: float | None) -> pa.Table:
        with self._connection.tagged(call="query"):
            cursor = self._connection.execute(select, parameters, timeout_s=timeout_s)
            with self._connection.mapped("Result of a query"):
                return arrow_table(cursor)

    def _read_in_parts(self, select: str) -> Iterator[pa.Table]:
        """A result's parts are downloaded as they are asked for."""
        with self._connection.tagged(call="batches"):
            cursor = self._connection.reading(lambda: self._connection.execute(select))
        with self._connection.mapped("Result of a query"):
            yield from arrow_batches(cursor)

    def _write_out(self, selects: Mapping[str, str], store: ObjectStore, *, csv: bool) -> dict[str, Unloaded]:
        with self._connection.tagged(call="unload"):
            return run_unload(self._connection, self._tables, self._books, selects, store, csv=csv)

    def _query_error(self, error: PlatformError, named: Sequence[str], timeout_s: float | None) -> PlatformError:
        if error.retryable and timeout_s is None:
            return error
        tables = [lower(table) for table in named]
        columns = [column for table in tables for column in self._tables.columns(table)]
        return query_error(
            error, named=tables, tables=self._tables.names(), columns=columns, timeout_s=timeout_s, masked=self._masked
        )
