"""MLflow's errors, mapped to the platform's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mlplatform.errors import ConflictError, NotFoundError, PlatformError, StateError, UnavailableError

_TRANSIENT = ("database is locked", "disk is full", "readonly database", "disk I/O error", "unable to open database")


@contextlib.contextmanager
def mapped(what: str) -> Iterator[None]:
    """MLflow's errors as the platform's."""
    try:
        yield
    except PlatformError:
        raise
    except Exception as error:
        # Opening its database MLflow lets the database's own errors through.
        code = "INTERNAL_ERROR" if _of_database(error) else getattr(error, "error_code", None)
        if code is None:
            raise
        kinds: dict[str, type[PlatformError]] = {
            "RESOURCE_DOES_NOT_EXIST": NotFoundError,
            "RESOURCE_ALREADY_EXISTS": ConflictError,
            "TEMPORARILY_UNAVAILABLE": UnavailableError,
        }
        transient = any(words in str(error) for words in _TRANSIENT)
        kind = UnavailableError if transient else kinds.get(code, StateError)
        step = "Check the disk (space, rights), and for a process that holds the file." if transient else ""
        raise kind(f"MLflow failed at {what}: {str(error).splitlines()[0]}", next_step=step) from error


def _of_database(error: Exception) -> bool:
    from sqlalchemy.exc import DBAPIError

    return isinstance(error, DBAPIError)
