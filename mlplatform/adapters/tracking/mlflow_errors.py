"""MLflow's errors, mapped to the platform's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mlplatform.errors import ConflictError, NotFoundError, PlatformError, StateError, UnavailableError


@contextlib.contextmanager
def mapped(what: str) -> Iterator[None]:
    """MLflow's errors as the platform's."""
    try:
        yield
    except PlatformError:
        raise
    except Exception as error:
        code = getattr(error, "error_code", None)
        if code is None:
            raise
        kinds: dict[str, type[PlatformError]] = {
            "RESOURCE_DOES_NOT_EXIST": NotFoundError,
            "RESOURCE_ALREADY_EXISTS": ConflictError,
            "TEMPORARILY_UNAVAILABLE": UnavailableError,
        }
        kind = UnavailableError if "database is locked" in str(error) else kinds.get(code, StateError)
        raise kind(f"MLflow failed at {what}: {str(error).splitlines()[0]}") from error
