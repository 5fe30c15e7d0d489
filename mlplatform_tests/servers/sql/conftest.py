"""One server of each kind for every test of this folder."""

from __future__ import annotations

from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.snowflake_warehouse import snowflake_server
from mlplatform_tests.servers.sql.engines import engine

__all__ = ["engine", "ministack_server", "redshift_server", "snowflake_server"]
