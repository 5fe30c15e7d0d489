"""boto3's errors as the platform's, by one table of the error codes that services share; a service adds its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from mlplatform.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    ThrottledError,
    TimedOutError,
    UnavailableError,
    UserError,
)

_KINDS: dict[str, type[PlatformError]] = {
    "ResourceNotFoundException": NotFoundError,
    "ResourceInUseException": ConflictError,
    "AccessDenied": PermissionDeniedError,
    "AccessDeniedException": PermissionDeniedError,
    "AuthorizationError": PermissionDeniedError,
    "ExpiredToken": PermissionDeniedError,
    "ExpiredTokenException": PermissionDeniedError,
    "IncompleteSignature": PermissionDeniedError,
    "InvalidAccessKeyId": PermissionDeniedError,
    "InvalidClientTokenId": PermissionDeniedError,
    "InvalidSignatureException": PermissionDeniedError,
    "InvalidToken": PermissionDeniedError,
    "KMSAccessDenied": PermissionDeniedError,
    "KMSAccessDeniedException": PermissionDeniedError,
    "MissingAuthenticationToken": PermissionDeniedError,
    "MissingAuthenticationTokenException": PermissionDeniedError,
    "NotAuthorized": PermissionDeniedError,
    "OptInRequired": PermissionDeniedError,
    "RequestExpired": PermissionDeniedError,
    "RequestTimeTooSkewed": PermissionDeniedError,
    "SignatureDoesNotMatch": PermissionDeniedError,
    "UnrecognizedClientException": PermissionDeniedError,
    "KMSThrottling": ThrottledError,
    "KMSThrottlingException": ThrottledError,
    "LimitExceededException": ThrottledError,
    "ProvisionedThroughputExceededException": ThrottledError,
    "RequestLimitExceeded": ThrottledError,
    "SlowDown": ThrottledError,
    "Throttled": ThrottledError,
    "ThrottledException": ThrottledError,
    "Throttling": ThrottledError,
    "ThrottlingException": ThrottledError,
    "TooManyRequests": ThrottledError,
    "TooManyRequestsException": ThrottledError,
    "InternalError": UnavailableError,
    "InternalFailure": UnavailableError,
    "InternalServerError": UnavailableError,
    "ServiceUnavailable": UnavailableError,
    "RequestTimeout": TimedOutError,
}
_STEPS: dict[type[PlatformError], str] = {
    PermissionDeniedError: "Check the credentials, and the policies that say what they may do.",
    ThrottledError: "Try again later.",
    UnavailableError: "Try again later; check endpoint and network.",
    TimedOutError: "Try again later; check endpoint and network.",
}


@contextlib.contextmanager
def aws_mapped(
    what: str,
    *,
    service: str,
    kinds: Mapping[str, type[PlatformError]] | None = None,
    steps: Mapping[type[PlatformError], str] | None = None,
) -> Iterator[None]:
    """Errors of the block, which asks `service` for `what`, as the platform's.

    `kinds` adds the service's own error codes, `steps` its own next steps; both win over those that services share.
    """
    from botocore import exceptions as boto

    known, told = {**_KINDS, **(kinds or {})}, {**_STEPS, **(steps or {})}
    try:
        yield
    except boto.ClientError as error:
        code, status = error_code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        kind = known.get(code) or (UnavailableError if status >= 500 else UserError)
        asked, message = error.operation_name, error.response.get("Error", {}).get("Message", "")
        raise _made(kind, f"{what}: {service} answered {code or status} to {asked}: {message}", told) from error
    except (
        boto.NoCredentialsError,
        boto.PartialCredentialsError,
        boto.CredentialRetrievalError,
        boto.SSOError,
        boto.TokenRetrievalError,
    ) as error:
        raise _made(PermissionDeniedError, f"{what}: no usable credentials: {error}", told) from error
    except (boto.ConnectTimeoutError, boto.ReadTimeoutError) as error:
        raise _made(TimedOutError, f"{what}: {error}", told) from error
    except boto.ParamValidationError as error:
        raise _made(UserError, f"{what}: {error}", told) from error
    except boto.BotoCoreError as error:
        raise _made(UnavailableError, f"{what}: {error}", told) from error


def error_code(error: BaseException | None) -> str:
    """The code of a ClientError, without the namespace that some servers put before it; "" of any other error."""
    answer = getattr(error, "response", {}).get("Error", {})
    return str(answer.get("Code", "")).rpartition("#")[2]


def was_retried(error: PlatformError) -> bool:
    """Whether boto3 had asked before it was answered so: what it asked for may have been done."""
    answer = getattr(error.__cause__, "response", {})
    return bool(answer.get("ResponseMetadata", {}).get("RetryAttempts", 0))


def _made(kind: type[PlatformError], message: str, steps: Mapping[type[PlatformError], str]) -> PlatformError:
    return kind(f"{message.rstrip('.')}.", next_step=steps.get(kind, ""))
