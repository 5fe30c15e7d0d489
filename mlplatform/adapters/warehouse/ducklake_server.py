"""A catalogue behind a server: whom it refuses is told by name, and what only reads is asked again where a session is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.ducklake_errors import NEXT_STEP_DENIED
from mlplatform.errors import PermissionDeniedError, UnavailableError

T = TypeVar("T")


def asked(engine: DuckLakeEngine, attempt: Callable[[], T], *, reads: bool = False) -> T:
    """What `attempt` returns.

    Args:
        reads: whether it changes nothing, or nothing that is not so already: then it is asked once more where the server, or
            the way to it, was lost. Anything else may have happened: that is for the caller to find out.
    """
    try:
        try:
            return attempt()
        except UnavailableError:
            if not reads:
                raise
            return attempt()
    except PermissionDeniedError as error:
        if not (who := engine.place.who) or error.next_step != NEXT_STEP_DENIED:
            raise  # not the catalogue's refusal but an object store's, which says itself what to check
        raise PermissionDeniedError(error.message, next_step=f"Check {who} and grants.") from error.__cause__
    except RuntimeError as error:
        # A thread of the engine may work on it still, and the next question would wait for that.
        engine.interrupt()
        raise stop_behind(error) from None


def stop_behind(error: RuntimeError) -> BaseException:
    """What stopped the caller, where DuckDB says only that it broke off: KeyboardInterrupt, or what a signal raises; else itself."""
    cause = error.__cause__
    return error if cause is None or isinstance(cause, Exception) else cause
