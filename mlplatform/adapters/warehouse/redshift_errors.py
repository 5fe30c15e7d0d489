"""The Redshift driver's errors as the platform's own, by SQLSTATE."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mlplatform.adapters.warehouse.redshift_s3_errors import s3_error
from mlplatform.adapters.warehouse.sql_errors import UNTOLD, WRONG_QUERY, no_column, no_table, too_slow
from mlplatform.errors import (
    BugError,
    DataError,
    PermissionDeniedError,
    PlatformError,
    TimedOutError,
    TransientError,
    UnavailableError,
)

_CONFLICT = re.compile(
    r"Serializable isolation violation|could not serialize|could not complete because of conflict", re.I
)
_CONFLICT_STATES = ("40001", "40P01", "55P03")
_ALREADY_THERE_STATES = ("42P06", "42P07", "42710", "23505")
"""Schema, table, or a row of the catalogue: two sessions made the same at once. No table of ours has a unique key."""

_NO_TABLE = re.compile(r'relation "(?:[^".]*"?\.)?"?([^"]+)" does not exist')
_NO_COLUMN = re.compile(r'column (?:"(?:[^".]+\.)*([^"]+)"|(?:\w+\.)*(\w+)) does not exist')


def fields(error: BaseException) -> dict[str, Any]:
    """What the server said: C its SQLSTATE, M its message; empty where the error is not the server's."""
    return error.args[0] if error.args and isinstance(error.args[0], dict) else {}


def is_conflict(error: BaseException) -> bool:
    """Whether another transaction was in the way: nothing was changed, and a second try can succeed."""
    said = fields(error)
    return (
        said.get("C") in _CONFLICT_STATES + _ALREADY_THERE_STATES
        or _CONFLICT.search(str(said.get("M", ""))) is not None
    )


def platform_error(
    error: BaseException, subject: str, *, masked: bool = False, who: str = "user, secret"
) -> PlatformError:
    """The platform's error for a driver's; `subject` is what was worked on, `who` on whose behalf, `masked`: its values are
    not told."""
    said = fields(error)
    state, message = str(said.get("C", "")), str(said.get("M", "") or error)
    if is_conflict(error):
        return TransientError(f"{subject}: another transaction was in the way: {message}")
    if not said or state.startswith(("08", "53", "57P")):
        return UnavailableError(f"{subject}: {message}", next_step="See whether the cluster runs and can be reached.")
    if state.startswith("28") or state == "42501":
        return PermissionDeniedError(f"{subject}: {message}", next_step=f"Check {who}, grants and IAM role.")
    if state == "57014":
        return TimedOutError(f"{subject}: the statement was cancelled.")
    of_s3 = s3_error(subject, message)
    return of_s3 or BugError(f"{subject}: {UNTOLD if masked else message} (SQLSTATE {state})")


def query_error(
    error: PlatformError,
    *,
    tables: Sequence[str],
    columns: Sequence[str],
    timeout_s: float | None,
    masked: bool = False,
) -> PlatformError:
    """The error of a user's query; `tables` are those of the warehouse, `columns` those of the tables that the query names."""
    cause = error.__cause__ or error.__context__ or error
    said = fields(cause)
    state, message = str(said.get("C", "")), str(said.get("M", ""))
    if isinstance(error, TimedOutError):
        return too_slow(timeout_s, "the cluster allows")
    table, column = _NO_TABLE.search(message), _NO_COLUMN.search(message)
    if state == "42P01" and table is not None:
        return no_table(table[1], tables)
    if state == "42703" and column is not None:
        return no_column(column[1] or column[2], columns)
    if state.startswith(("22", "42", "0A")) and not isinstance(error, PermissionDeniedError):
        return DataError(
            f"The query is wrong: {UNTOLD if masked and state.startswith('22') else message}", next_step=WRONG_QUERY
        )
    return error
