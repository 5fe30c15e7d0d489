"""Amazon Redshift as a warehouse: a schema a system, rows in and out through S3.

https://docs.aws.amazon.com/redshift/latest/dg/. What it gives: loads, scans and unloads over many nodes, transactions.
What it does not: snapshots that can be read later, a histogram function, texts above 65,535 bytes; no key is enforced
(unique keys are checked in SQL while loading). It merges and vacuums by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.redshift_connection import RedshiftConnection
from mlplatform.adapters.warehouse.redshift_copy import RedshiftCopy
from mlplatform.adapters.warehouse.redshift_data_api import RedshiftDataApi
from mlplatform.adapters.warehouse.redshift_errors import query_error
from mlplatform.adapters.warehouse.redshift_session import RedshiftSession
from mlplatform.adapters.warehouse.redshift_settings import DataApiSettings, DriverSettings
from mlplatform.adapters.warehouse.redshift_sql import DIALECT, LONGEST_VARCHAR_BYTES
from mlplatform.adapters.warehouse.redshift_tables import RedshiftTables
from mlplatform.adapters.warehouse.redshift_unload import run_unload
from mlplatform.adapters.warehouse.sql_warehouse import SqlWarehouse, utc_now
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
        settings: DriverSettings | DataApiSettings,
        secrets: Secrets,
        *,
        system: str,
        now: Callable[[], datetime] = utc_now,
        masked: bool = False,
    ) -> None:
        self._connection = _session(settings, secrets, masked=masked)
        tables = RedshiftTables(self._connection, DIALECT, f"{settings.schema_prefix}{system}")
        copy = RedshiftCopy(self._connection, tables.schema)
        super().__init__(self._connection, tables, copy, system=system, now=now, masked=masked)

    @property
    def capabilities(self) -> WarehouseCapabilities:
        return WarehouseCapabilities(
            dialect="redshift",
            snapshots=False,
            min_batch_interval_s=self._connection.settings.min_batch_interval_s,
            longest_text_bytes=LONGEST_VARCHAR_BYTES,
            null_bytes=False,
        )

    def _read(self, select: str, parameters: Sequence[Any], timeout_s: float | None) -> pa.Table:
        return self._connection.table(select, parameters, timeout_s=timeout_s)

    def _read_in_parts(self, select: str) -> Iterator[pa.Table]:
        return self._connection.parts(select)

    def _write_out(self, selects: Mapping[str, str], store: ObjectStore, *, csv: bool) -> dict[str, Unloaded]:
        return run_unload(self._connection, self._books, selects, store, csv=csv)

    def _query_error(self, error: PlatformError, named: Sequence[str], timeout_s: float | None) -> PlatformError:
        columns = [column for table in named for column in self._tables.columns(table)]
        tables = self._tables.names()
        return query_error(error, tables=tables, columns=columns, timeout_s=timeout_s, masked=self._masked)


def _session(settings: DriverSettings | DataApiSettings, secrets: Secrets, *, masked: bool) -> RedshiftSession:
    if isinstance(settings, DataApiSettings):
        return RedshiftDataApi(settings, masked=masked)
    return RedshiftConnection(settings, secrets, masked=masked)
