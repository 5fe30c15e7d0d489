"""What AWS answers who asks it for a way into Redshift, as the platform's errors."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from mlplatform.adapters.aws.errors import aws_mapped
from mlplatform.errors import (
    DataError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    ThrottledError,
    TimedOutError,
    UnavailableError,
)

_KINDS: Mapping[str, type[PlatformError]] = {
    "ClusterNotFound": NotFoundError,
    "UnsupportedOperation": PermissionDeniedError,
    "ValidationException": DataError,
    "ActiveSessionsExceededException": ThrottledError,
    "ActiveStatementsExceededException": ThrottledError,
    "ActiveWaitingRequestsExceededException": ThrottledError,
    "DatabaseConnectionException": UnavailableError,
    "ExecuteStatementException": UnavailableError,
    "InternalServerException": UnavailableError,
    "QueryTimeoutException": TimedOutError,
}
_STEPS: Mapping[type[PlatformError], str] = {
    NotFoundError: "Check cluster or workgroup, and region.",
    DataError: "Check the connection's settings.",
}


def asked_of_aws(where: str, service: str) -> AbstractContextManager[None]:
    """Errors of boto3 in the block as the platform's."""
    return aws_mapped(where, service=service, kinds=_KINDS, steps=_STEPS)
