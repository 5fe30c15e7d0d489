"""One server for every test of this folder."""

from __future__ import annotations

from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server

__all__ = ["ministack_server", "redshift_server"]
