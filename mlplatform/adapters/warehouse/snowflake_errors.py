"""The Snowflake driver's errors as the platform's own, by their numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mlplatform.adapters.warehouse.sql_errors import UNTOLD, WRONG_QUERY, no_column, no_table, too_slow
from mlplatform.errors import (
    BugError,
    DataError,
    PermissionDeniedError,
    PlatformError,
    ProfileError,
    TimedOutError,
    TransientError,
    UnavailableError,
)

_CONFLICT = re.compile(r"waiters for this lock|lock has not yet been released|deadlock", re.I)
_CONFLICTS = (625,)
_CANCELLED = (604, 630)
_REFUSED = (3001, 3003, 390_100, 390_101, 390_102, 390_144, 390_189, 390_201, 390_303, 390_318, 390_422)
_REFUSED_AT_LOGIN = re.compile(r"Incorrect username or password|JWT token is invalid|OAuth|not allowed to access", re.I)
_NO_CONNECTION = 250_001
_NO_WAREHOUSE = (606,)
_NO_TABLE, _NO_COLUMN = (2003,), (904,)
_SESSION_GONE = (390_104, 390_111, 390_112, 390_113, 390_114, 390_115, 390_195)
_ON_A_VALUE = range(100_000, 101_000)

_NAME = re.compile(r"'(?:[^']*\.)?\"?([^'\".]+)\"?'")


def number(error: BaseException) -> int:
    """Snowflake's number of the error; -1 where it has none."""
    found = getattr(error, "errno", None)
    return found if isinstance(found, int) else -1


def is_conflict(error: BaseException) -> bool:
    """Whether another transaction was in the way: nothing was changed, and a second try can succeed."""
    return number(error) in _CONFLICTS or _CONFLICT.search(_said(error)) is not None


def is_lost(error: BaseException) -> bool:
    """Whether the session, or the way to it, is gone. The driver numbers its own errors from 250,000, HTTP's beside them."""
    errno = number(error)
    return errno in (-1, *_SESSION_GONE) or 250_000 <= errno < 300_000 or 580_000 <= errno < 600_000


def _said(error: BaseException) -> str:
    """What the server said, on one line."""
    text: Any = getattr(error, "raw_msg", None) or error
    return " ".join(str(text).replace("SQL compilation error:", "").split())


def platform_error(
    error: BaseException, subject: str, *, masked: bool = False, who: str = "user, secret, role"
) -> PlatformError:
    """The platform's error for a driver's; `subject` is what was worked on, `who` on whose behalf, `masked`: its values are
    not told."""
    errno, message = number(error), _said(error)
    if is_conflict(error):
        return TransientError(f"{subject}: another transaction was in the way: {message}")
    if errno in _REFUSED or (errno == _NO_CONNECTION and _REFUSED_AT_LOGIN.search(message)):
        return PermissionDeniedError(f"{subject}: {message}", next_step=f"Check {who} and grants.")
    if errno in _NO_WAREHOUSE:
        return ProfileError(f"{subject}: {message}", next_step="Set warehouse to one that the role may use.")
    if errno in _CANCELLED:
        return TimedOutError(f"{subject}: the statement was cancelled.")
    if is_lost(error):
        return UnavailableError(f"{subject}: {message}", next_step="See whether Snowflake can be reached.")
    return BugError(f"{subject}: {UNTOLD if masked else message} (error {errno})")


def query_error(
    error: PlatformError,
    *,
    named: Sequence[str],
    tables: Sequence[str],
    columns: Sequence[str],
    timeout_s: float | None,
    masked: bool = False,
) -> PlatformError:
    """The error of a user's query: `named` are the tables that it names, `tables` those of the warehouse, `columns` those of the
    named ones. Where no table was ever made, Snowflake misses the schema."""
    cause = error.__cause__ or error.__context__ or error
    errno, message = number(cause), _said(cause)
    if isinstance(error, TimedOutError):
        return too_slow(timeout_s, "the warehouse allows")
    name = _NAME.search(message)
    missing = [table for table in named if table not in tables]
    if errno in _NO_TABLE and missing:
        told = no_table(missing[0], tables)
        told.own_step = "Correct the query, or grant the table: Snowflake hides what a role may not see."
        return told
    if errno in _NO_COLUMN and name is not None:
        return no_column(name[1].lower(), columns)
    if isinstance(error, BugError) and errno > 0:
        return DataError(
            f"The query is wrong: {UNTOLD if masked and errno in _ON_A_VALUE else message}", next_step=WRONG_QUERY
        )
    return error
