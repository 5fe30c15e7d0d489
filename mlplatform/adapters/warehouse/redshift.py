"""Amazon Redshift as a warehouse: a schema a system, rows in and out through S3.

https://docs.aws.amazon.com/redshift/latest/dg/. What it gives: loads, scans and unloads over many nodes, transactions.
What it does not: snapshots that can be read later, a histogram function, texts above 65,535 bytes; no key is enforced
(unique keys are checked in SQL while loading). It merges and vacuums by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from mlplatform.adapters.warehouse.redshift_connection import RedshiftConnection, RedshiftSettings
from mlplatform.adapters.warehouse.redshift_copy import RedshiftCopy
from mlplatform.adapters.warehouse.redshift_errors import query_error
from mlplatform.adapters.warehouse.redshift_results import arrow_parts, arrow_table
from mlplatform.adapters.warehouse.redshift_sql import DIALECT, LONGEST_VARCHAR_BYTES, select_sql
from mlplatform.adapters.warehouse.redshift_tables import RedshiftTables
from mlplatform.adapters.warehouse.redshift_unload import run_unload
from mlplatform.adapters.warehouse.sql_select import tables_of
from mlplatform.adapters.warehouse.sql_warehouse import SqlWarehouse, naive, utc_now
from mlplatform.errors import PlatformError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Unloaded, WarehouseCapabilities

if TYPE_CHECKING:
    import pyarrow as pa

    from mlplatform.ports.secrets import Secrets


class RedshiftWarehouse(SqlWarehouse):
    """The tables of `system`. Connects on first use; the object stores that it is given must be S3.

    `masked`: errors do not tell values.
    """

    def __init__(
        self,
        settings: RedshiftSettings,
        secrets: Secrets,
        *,
        system: str,
        now: Callable[[], datetime] = utc_now,
        masked: bool = False,
    ) -> None:
        self._masked = masked
        self._connection = RedshiftConnection(settings, secrets, masked=masked)
        tables = RedshiftTables(self._connection, DIALECT, f"{settings.schema_prefix}{system}")
        super().__init__(
            self._connection, tables, RedshiftCopy(self._connection, tables.schema), system=system, now=now
        )

    @property
    def capabilities(self) -> WarehouseCapabilities:
        return WarehouseCapabilities(
            dialect="redshift",
            snapshots=False,
            min_batch_interval_s=60.0,
            longest_text_bytes=LONGEST_VARCHAR_BYTES,
            null_bytes=False,
        )

    def query(
        self, sql: str, parameters: Sequence[Any] = (), *, at: str | None = None, timeout_s: float | None = None
    ) -> pa.Table:
        self._refuse_version(at)
        select = select_sql(sql, self._tables.schema)
        bound = [naive(value) for value in parameters]

        def attempt() -> pa.Table:
            if timeout_s is not None:
                self._connection.execute(f"SET statement_timeout TO {max(1, round(timeout_s * 1000))}")
            return arrow_table(self._connection.execute(select, bound))

        try:
            return self._connection.reading(attempt)
        except PlatformError as error:
            raise self._query_error(error, select, timeout_s) from (None if self._masked else error.__cause__)
        finally:
            if timeout_s is not None:
                self._connection.execute("SET statement_timeout TO 0")

    def batches(self, sql: str, *, at: str | None = None) -> Iterator[pa.RecordBatch]:
        """See `ports.batches.Batched`: by a cursor in a session of its own."""
        import pyarrow as pa

        self._refuse_version(at)
        select = select_sql(sql, self._tables.schema)
        own = self._connection.another()
        try:
            for part in arrow_parts(own, select):
                yield from part.to_batches() or [pa.RecordBatch.from_pylist([], schema=part.schema)]
        except PlatformError as error:
            raise self._query_error(error, select, None) from (None if self._masked else error.__cause__)
        finally:
            own.close()

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

    def _query_error(self, error: PlatformError, select: str, timeout_s: float | None) -> PlatformError:
        """The query's error, with what is there."""
        columns = [column for table in sorted(tables_of(select, DIALECT)) for column in self._tables.columns(table)]
        tables = self._tables.names()
        return query_error(error, tables=tables, columns=columns, timeout_s=timeout_s, masked=self._masked)
