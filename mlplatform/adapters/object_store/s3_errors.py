"""boto3's errors on S3 as the platform's: S3's own error codes beside those that services share."""

from __future__ import annotations

from contextlib import AbstractContextManager

from mlplatform.adapters.aws.errors import aws_mapped, error_code
from mlplatform.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    StateError,
    ThrottledError,
    UnavailableError,
)

_KINDS: dict[str, type[PlatformError]] = {
    "NoSuchKey": NotFoundError,
    "404": NotFoundError,
    "NoSuchBucket": NotFoundError,
    "PreconditionFailed": ConflictError,
    "412": ConflictError,
    "403": PermissionDeniedError,
    "AllAccessDisabled": PermissionDeniedError,
    "503": ThrottledError,
    # Two conditional writes met; S3 says that neither outcome is known, and asks to try again.
    "ConditionalRequestConflict": UnavailableError,
    "OperationAborted": UnavailableError,
    "InvalidObjectState": StateError,
}
_STEPS: dict[type[PlatformError], str] = {
    StateError: "Restore the object from its archive class.",
}


def mapped(url: str) -> AbstractContextManager[None]:
    """Errors of the block, which works on `url`, as the platform's."""
    return aws_mapped(url, service="S3", kinds=_KINDS, steps=_STEPS)


def is_bare(error: PlatformError) -> bool:
    """Whether S3 gave no reason: its answers to HEAD have no body, and say a status only."""
    return error_code(error.__cause__) in ("400", "403", "404")
