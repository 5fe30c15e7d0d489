"""boto3's errors as the platform's, by one table of the error codes that services share; a service adds its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from mlplatform.adapters.aws.actions import action
from mlplatform.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    ProfileError,
    ThrottledError,
    TimedOutError,
    UnavailableError,
    UserError,
)

_OF_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
"""Codes that say nothing of what a user may do: it is not known who he is, or no longer."""
_KINDS: dict[str, type[PlatformError]] = {
    **dict.fromkeys(_OF_CREDENTIALS, PermissionDeniedError),
    "ResourceNotFoundException": NotFoundError,
    "ResourceInUseException": ConflictError,
    "AccessDenied": PermissionDeniedError,
    "AccessDeniedException": PermissionDeniedError,
    "AuthorizationError": PermissionDeniedError,
    "KMSAccessDenied": PermissionDeniedError,
    "KMSAccessDeniedException": PermissionDeniedError,
    "NotAuthorized": PermissionDeniedError,
    "OptInRequired": PermissionDeniedError,
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
_OTHER_REGION = ("AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect", "301")
ACTION = "{action}"
RENEW = "Renew the credentials, and start it again."
_STEPS: dict[type[PlatformError], str] = {
    PermissionDeniedError: "Check the credentials, and the policies that say what they may do.",
    ProfileError: "Set 'region' in the connection's settings, or AWS_DEFAULT_REGION, to the one that it is in.",
    ThrottledError: "Try again later.",
    UnavailableError: "Try again later; check region, endpoint and network.",
    TimedOutError: "Try again later; check region, endpoint and network.",
}


@contextlib.contextmanager
def aws_mapped(
    what: str,
    *,
    service: str,
    kinds: Mapping[str, type[PlatformError]] | None = None,
    steps: Mapping[type[PlatformError], str] | None = None,
    renew: str = RENEW,
) -> Iterator[None]:
    """Errors of the block, which asks `service` for `what`, as the platform's.

    `kinds` adds the service's own error codes, `steps` its own next steps; both win over those that services share. `renew`: the next
    step where the credentials are none, or no longer. A next step that has `ACTION` in it names the action that was not allowed.
    """
    from botocore import exceptions as boto

    known, told = {**_KINDS, **(kinds or {})}, {**_STEPS, **(steps or {})}
    try:
        yield
    except boto.ClientError as error:
        about: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
        code, status, asked = error_code(error), about.get("HTTPStatusCode", 0), error.operation_name
        message = error.response.get("Error", {}).get("Message", "")
        kind = known.get(code) or (UnavailableError if status >= 500 else UserError)
        if code in _OTHER_REGION or "scoped to a valid region" in message:
            kind = ProfileError
        elif kind is PermissionDeniedError and code in _OF_CREDENTIALS:
            told[kind] = renew
        elif kind is PermissionDeniedError and kind not in (steps or {}):
            told[kind] = f"Allow {action(service, asked)} on it, and on its key what that asks for."
        elif kind is PermissionDeniedError:
            told[kind] = told[kind].replace(ACTION, action(service, asked))
        where = f" (in {about['Region']})" if kind in (NotFoundError, ProfileError) and "Region" in about else ""
        said = f"{what}: {service} answered {code or status} to {asked}: {message.rstrip('.')}{where}"
        raise _made(kind, said, told) from error
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
