"""DuckDB's errors as the platform's own, by kind and by what their text says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mlplatform.adapters.warehouse.sql_errors import WRONG_QUERY
from mlplatform.errors import (
    BugError,
    DataError,
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    StateError,
    TimedOutError,
    TransientError,
    UnavailableError,
)

_CONFLICT = re.compile(
    r"Failed to commit DuckLake transaction|database is locked|Transaction conflict|cannot rollback", re.I
)
_DAMAGED = re.compile(r"database disk image is malformed|file is not a database|malformed database schema", re.I)
_DISK = re.compile(r"database or disk is full|readonly database|disk I/O error|unable to open database file", re.I)
_AWAY = re.compile(
    r"connection to server|server closed the connection|terminating connection|could not connect|Could not establish connection"
    r"|no connection to the server|SSL SYSCALL",
    re.I,
)
_DENIED = re.compile(
    r'password authentication failed|permission denied for|no pg_hba\.conf entry|role "[^"]*" does not exist'
)
NEXT_STEP_DENIED = "Check user, secret and grants."
_NO_TABLE = re.compile(r"Table with name (\S+) does not exist")
_NO_COLUMN = re.compile(
    r'Referenced column "([^"]+)" (?:was )?not found|Table "[^"]*" does not have a column named "([^"]+)"'
)


def is_conflict(error: Exception) -> bool:
    """Whether another transaction was in the way: nothing was changed, and a second try can succeed."""
    text = str(error)
    return _CONFLICT.search(text) is not None and _DAMAGED.search(text) is None and _DENIED.search(text) is None


@contextmanager
def mapped(subject: str, *, masked: bool = False) -> Iterator[None]:
    """Raises what a driver's error means; `subject` is what was worked on, `masked`: its values are not told."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise platform_error(error, subject, masked=masked) from (None if masked else error)


def platform_error(error: Exception, subject: str, *, masked: bool = False) -> PlatformError:
    """The platform's error for a driver's."""
    import duckdb

    text = _told(error) if masked else str(error).strip()
    if _DAMAGED.search(text):
        return StateError(
            f"{subject}: the catalogue is damaged: {_first_line(text)}",
            next_step="Run 'mlplatform state check', and restore a backup (mlplatform state restore).",
        )
    if _DENIED.search(text):
        return PermissionDeniedError(f"{subject}: {_first_line(text)}", next_step=NEXT_STEP_DENIED)
    if _AWAY.search(text):
        return UnavailableError(
            f"{subject}: {_first_line(text)}", next_step="Try again once the catalogue's server answers."
        )
    if is_conflict(error):
        return TransientError(f"{subject}: another transaction was in the way: {_first_line(text)}")
    if isinstance(error, duckdb.InterruptException):
        return TimedOutError(f"{subject}: the statement was cancelled.")
    if isinstance(error, (duckdb.IOException, duckdb.OutOfMemoryException)) or _DISK.search(text):
        return UnavailableError(f"{subject}: {_first_line(text)}")
    if isinstance(error, (duckdb.InternalException, duckdb.FatalException)):
        return StateError(
            f"{subject}: the engine broke off: {_first_line(text)}",
            next_step="Restart the process; then run 'mlplatform state check'.",
        )
    return BugError(f"{subject}: {_first_line(text)}")


def query_error(
    error: Exception, tables: Sequence[str], columns: Sequence[str], *, masked: bool = False
) -> PlatformError:
    """The error of a user's query; `tables` are those of the warehouse, `columns` those of the tables that the query names.

    The caller raises it without its cause where it is `masked`: a traceback shows that, too.
    """
    import duckdb

    text = _told(error) if masked else str(error).strip()
    table = _NO_TABLE.search(text)
    if isinstance(error, duckdb.CatalogException) and table is not None:
        there = ", ".join(tables) or "none"
        return NotFoundError(
            f"The warehouse has no table '{table[1]}'; it has: {there}.", next_step="Correct the query."
        )
    column = _NO_COLUMN.search(text)
    if isinstance(error, duckdb.BinderException) and column is not None:
        there = ", ".join(columns) or "no columns"
        return NotFoundError(
            f"No table of the query has a column '{column[1] or column[2]}'; they have: {there}.",
            next_step="Correct the query.",
        )
    engines = (duckdb.InternalException, duckdb.FatalException, duckdb.IOException, duckdb.OutOfMemoryException)
    if (
        isinstance(error, engines)
        or _DENIED.search(text)
        or _AWAY.search(text)
        or _DAMAGED.search(text)
        or _DISK.search(text)
    ):
        return platform_error(error, "query", masked=masked)
    if isinstance(error, duckdb.PermissionException):
        return DataError(
            f"The query reaches outside the warehouse: {_first_line(text)}",
            next_step="Query tables of the warehouse only; put a file into one by uploading it.",
        )
    return DataError(f"The query is wrong: {text}", next_step=WRONG_QUERY)


def _told(error: Exception) -> str:
    """The driver's text where it speaks of a user's statement. Any other may quote values, also in statements of the engine's
    own (a commit writes each file's smallest and largest value): then what it is about."""
    import duckdb

    text = str(error).strip()
    on_statement = (
        duckdb.ParserException,
        duckdb.SyntaxException,
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.PermissionException,
    )
    if isinstance(error, on_statement):
        return text
    kind = type(error).__name__.removesuffix("Exception")
    known = next((match[0] for pattern in (_DENIED, _DAMAGED, _CONFLICT, _DISK) if (match := pattern.search(text))), "")
    if known:
        return f"{kind} error: {known}"
    engines = (duckdb.IOException, duckdb.TransactionException, duckdb.InternalException, duckdb.FatalException)
    if isinstance(error, engines):
        return f"{kind} error, whose text is not told: the system has personal columns"
    return f"{kind} error on a value, which is not told: the system has personal columns"


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else "no message"
