"""PUT and COPY INTO: a Parquet file of this machine into a stage that is the session's own, and from there into a table."""

from __future__ import annotations

import secrets
from pathlib import Path

from mlplatform.adapters.warehouse.snowflake_connection import SnowflakeConnection
from mlplatform.adapters.warehouse.snowflake_sql import copy_sql, put_sql
from mlplatform.core.loads.plan import LoadPlan
from mlplatform.errors import BugError
from mlplatform.ports.object_store import ObjectStore


class SnowflakeCopy:
    """A `sql_load.BulkCopy`. What the session leaves in its stage goes with it."""

    def __init__(self, connection: SnowflakeConnection, stage: str) -> None:
        self._connection = connection
        self._stage = stage

    def __call__(
        self,
        table: str,
        file: Path,
        *,
        plan: LoadPlan,  # noqa: ARG002
        store: ObjectStore,  # noqa: ARG002
        subject: str,
    ) -> None:
        import pyarrow.parquet as pq

        expected = pq.read_metadata(file).num_rows
        folder = secrets.token_hex(8)
        self._connection.execute(f"CREATE TEMPORARY STAGE IF NOT EXISTS {self._stage}", subject=subject)
        self._connection.execute(put_sql(file, f"{self._stage}/{folder}"), subject=subject)
        copied = self._connection.execute(copy_sql(table, self._stage, f"{folder}/{file.name}"), subject=subject)
        rows = copied.fetchall()
        found = [(row[1], int(row[3])) for row in rows if len(row) > 3]
        if found != [("LOADED", expected)]:
            raise BugError(
                f"{subject}: expected COPY INTO to load one file of {expected} rows, found {rows}.",
                next_step="Nothing was loaded. Please report it with the object.",
            )
