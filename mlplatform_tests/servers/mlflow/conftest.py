"""One server for the tests of this folder, and S3 beside it."""

from __future__ import annotations

from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.trackings import managed_server, mlflow_servers, packages

__all__ = ["managed_server", "ministack_server", "mlflow_servers", "packages"]
