"""boto3's errors on S3 as the platform's, by one table of S3's error codes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mlplatform.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    StateError,
    ThrottledError,
    TimedOutError,
    UnavailableError,
    UserError,
)

_KINDS: dict[str, type[PlatformError]] = {
    "NoSuchKey": NotFoundError,
    "404": NotFoundError,
    "NoSuchBucket": NotFoundError,
    "PreconditionFailed": ConflictError,
    "412": ConflictError,
    "AccessDenied": PermissionDeniedError,
    "403": PermissionDeniedError,
    "AllAccessDisabled": PermissionDeniedError,
    "ExpiredToken": PermissionDeniedError,
    "InvalidAccessKeyId": PermissionDeniedError,
    "InvalidToken": PermissionDeniedError,
    "SignatureDoesNotMatch": PermissionDeniedError,
    "RequestTimeTooSkewed": PermissionDeniedError,
    "SlowDown": ThrottledError,
    "503": ThrottledError,
    "Throttling": ThrottledError,
    "ThrottlingException": ThrottledError,
    "TooManyRequests": ThrottledError,
    "RequestTimeout": TimedOutError,
    # Two conditional writes met; S3 says that neither outcome is known, and asks to try again.
    "ConditionalRequestConflict": UnavailableError,
    "OperationAborted": UnavailableError,
    "InvalidObjectState": StateError,
}
_STEPS: dict[type[PlatformError], str] = {
    PermissionDeniedError: "Check the credentials and the bucket's policy.",
    ThrottledError: "Try again later.",
    UnavailableError: "Try again later; check endpoint and network.",
    TimedOutError: "Try again later; check endpoint and network.",
    StateError: "Restore the object from its archive class.",
}


@contextlib.contextmanager
def mapped(url: str) -> Iterator[None]:
    """Errors of the block, which works on `url`, as the platform's."""
    from botocore import exceptions as boto

    try:
        yield
    except boto.ClientError as error:
        answer = error.response.get("Error", {})
        code, message = str(answer.get("Code", "")), answer.get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        kind = _KINDS.get(code) or (UnavailableError if status >= 500 else UserError)
        raise _made(kind, f"{url}: S3 answered {code or status}: {message}") from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError) as error:
        raise _made(PermissionDeniedError, f"{url}: no usable credentials: {error}") from error
    except (boto.ConnectTimeoutError, boto.ReadTimeoutError) as error:
        raise _made(TimedOutError, f"{url}: {error}") from error
    except boto.BotoCoreError as error:
        raise _made(UnavailableError, f"{url}: {error}") from error


def _made(kind: type[PlatformError], message: str) -> PlatformError:
    return kind(f"{message.rstrip('.')}.", next_step=_STEPS.get(kind, ""))
