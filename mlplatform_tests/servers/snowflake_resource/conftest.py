"""One server for every test of this folder."""

from __future__ import annotations

from mlplatform_tests.conformance.snowflake_warehouse import snowflake_server

__all__ = ["snowflake_server"]
