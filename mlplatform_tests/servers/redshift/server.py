"""A Redshift of one test session: PostgreSQL behind the proxy, with S3 beside it.

What it proves: the adapter's statements as Redshift's dialect has them, its transactions, its handling of the driver.
What it does not: Redshift's planner, concurrency beyond snapshots and locks, sizes, IAM.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlplatform_tests.servers.redshift.bulk import BulkStatements
from mlplatform_tests.servers.redshift.postgres import PASSWORD, USER, Postgres, postgres
from mlplatform_tests.servers.redshift.proxy import RedshiftProxy

VIEWS = (
    """CREATE VIEW public.svv_columns AS SELECT table_schema, table_name, column_name, ordinal_position,
    CASE data_type WHEN 'json' THEN 'super' WHEN 'bytea' THEN 'binary varying' ELSE data_type END AS data_type,
    numeric_precision, numeric_scale FROM information_schema.columns""",
    "GRANT SELECT ON public.svv_columns TO PUBLIC",
)
"""Redshift's system views, as far as the adapter reads them."""


@dataclass(frozen=True)
class Redshift:
    """A running server: where to connect, and every statement that was sent."""

    proxy: RedshiftProxy
    server: Postgres

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a connection to it, but for the schema."""
        return {"host": "127.0.0.1", "port": self.proxy.port, "user": USER, "database": "postgres", "ssl": False}

    @property
    def secrets(self) -> dict[str, str]:
        """The environment that holds a connection's secrets."""
        return {"MLPLATFORM_SECRET_REDSHIFT_PASSWORD": PASSWORD}


@contextlib.contextmanager
def redshift(s3: Any) -> Iterator[Redshift]:
    """A server of its own that reads and writes objects through the boto3 client `s3`."""
    with postgres() as server:
        server.psql(*VIEWS)
        proxy = RedshiftProxy(server.port, BulkStatements(server, s3).statement)
        try:
            yield Redshift(proxy, server)
        finally:
            proxy.close()
