"""MLflow's errors, mapped to the platform's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mlplatform.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    ProfileError,
    StateError,
    ThrottledError,
    TimedOutError,
    UnavailableError,
)

_OF_DISK = ("database is locked", "disk is full", "readonly database", "disk I/O error", "unable to open database")
_KINDS: dict[str, type[PlatformError]] = {
    "RESOURCE_DOES_NOT_EXIST": NotFoundError,
    "RESOURCE_ALREADY_EXISTS": ConflictError,
    "TEMPORARILY_UNAVAILABLE": UnavailableError,
    "REQUEST_LIMIT_EXCEEDED": ThrottledError,
    "RESOURCE_EXHAUSTED": ThrottledError,
    "DEADLINE_EXCEEDED": TimedOutError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "CUSTOMER_UNAUTHORIZED": PermissionDeniedError,
    "UNAUTHENTICATED": PermissionDeniedError,
    "ENDPOINT_NOT_FOUND": ProfileError,
}
_OF_STATUS: dict[int, type[PlatformError]] = {
    401: PermissionDeniedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: TimedOutError,
    429: ThrottledError,
}
"""Of answers about artifacts, which bear no code of MLflow's."""
_STEPS: dict[type[PlatformError], str] = {
    ConflictError: "See how it stands now in MLflow, and start it again.",
    PermissionDeniedError: "Check the login of the tracking connection, and what it may do on that server.",
    ProfileError: "Check the address in the tracking connection: it has to be that of an MLflow server of version 3 or later.",
    TimedOutError: "Start it again; check the server and the network.",
    UnavailableError: "Start it again when the server answers; check its address in the tracking connection, and the network.",
}
_DISK_STEP = "Check the disk (space, rights), and for a process that holds the file."


@contextlib.contextmanager
def mapped(what: str, *, remote: bool = False) -> Iterator[None]:
    """MLflow's errors as the platform's; `remote`: of a server, where a database's troubles are none of this machine's."""
    try:
        yield
    except PlatformError:
        raise
    except Exception as error:
        if isinstance(error.__context__, PlatformError):
            # Of a secret that a request was to bear, say.
            raise error.__context__ from error
        kind = _kind_of(error, remote=remote)
        if kind is None:
            raise
        lines = str(error).splitlines() or [type(error).__name__]
        step = _STEPS.get(kind, "") if remote else _DISK_STEP if kind is UnavailableError else ""
        raise kind(f"MLflow failed at {what}: {lines[0]}", next_step=step) from error


def _kind_of(error: Exception, *, remote: bool) -> type[PlatformError] | None:
    """The platform's kind; None where it is no error of MLflow's."""
    said = str(error)
    # Opening its database MLflow lets the database's own errors through.
    code = "INTERNAL_ERROR" if not remote and _of_database(error) else getattr(error, "error_code", None)
    if not remote:
        if code is not None and any(words in said for words in _OF_DISK):
            return UnavailableError
        return None if code is None else _KINDS.get(code, StateError)
    if code is None:
        return _of_answer(error)
    if "failed with timeout exception" in said:
        return TimedOutError
    if "failed with exception" in said and "locate credentials" in said:
        return PermissionDeniedError
    if "failed with exception" in said or "database is locked" in said:
        return UnavailableError
    if code == "INTERNAL_ERROR" and _denied_by_aws(said):
        return PermissionDeniedError
    return _KINDS.get(code, StateError)


def _denied_by_aws(said: str) -> bool:
    """Whether what stands in front of SageMaker's servers refused; it answers without a code of MLflow's."""
    words = ("not authorized", "AccessDenied", "security token", "signature", "Missing Authentication", "expired")
    return any(word.lower() in said.lower() for word in words)


def _of_answer(error: Exception) -> type[PlatformError] | None:
    import requests

    if isinstance(error, requests.Timeout):
        return TimedOutError
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _OF_STATUS.get(error.response.status_code, UnavailableError)
    return UnavailableError if isinstance(error, requests.RequestException) else None


def _of_database(error: Exception) -> bool:
    from sqlalchemy.exc import DBAPIError

    return isinstance(error, DBAPIError)
