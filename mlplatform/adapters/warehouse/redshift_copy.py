"""COPY: a Parquet file of this machine put beside the data in S3, and from there into a table."""

from __future__ import annotations

import secrets
from pathlib import Path

from mlplatform.adapters.warehouse.redshift_session import RedshiftSession
from mlplatform.adapters.warehouse.redshift_sql import copy_sql
from mlplatform.core.loads.plan import LoadPlan
from mlplatform.ports.object_store import ObjectStore


class RedshiftCopy:
    """A `sql_load.BulkCopy`. The file's object is gone when it is done."""

    def __init__(self, connection: RedshiftSession, schema: str) -> None:
        self._connection = connection
        self._schema = schema

    def __call__(self, table: str, file: Path, *, plan: LoadPlan, store: ObjectStore, subject: str) -> None:
        settings = self._connection.settings
        folder = f"{settings.staging_prefix}{self._schema}/{plan.table}"
        key = f"{folder}/{plan.batch_id}-{secrets.token_hex(4)}-{file.name}"
        store.put(key, file)
        try:
            self._connection.execute(copy_sql(table, store.url(key), settings.iam_role), subject=subject)
        finally:
            store.delete(key)
