"""What a user's query did wrong, said alike whichever warehouse found it."""

from __future__ import annotations

from collections.abc import Sequence

from mlplatform.errors import NotFoundError, TimedOutError

UNTOLD = "a value does not fit, and is not told: the system has personal columns"

WRONG_QUERY = "Correct the query: one SELECT, in DuckDB's dialect."
"""What to do about a query that is wrong, where nothing tells which name is."""


def no_table(name: str, there: Sequence[str]) -> NotFoundError:
    """A table that the warehouse has not; `there`: those that it has."""
    return NotFoundError(
        f"The warehouse has no table '{name}'; it has: {', '.join(there) or 'none'}.", next_step="Correct the query."
    )


def no_database(name: str, there: Sequence[str]) -> NotFoundError:
    """A database that the warehouse has not; `there`: those that this connection may look into."""
    return NotFoundError(
        f"There is no database '{name}'; there are: {', '.join(there)}.",
        next_step="Correct the database in the settings of the profile's connection.",
    )


def no_column(name: str, there: Sequence[str]) -> NotFoundError:
    """A column that no table of the query has; `there`: those that they have."""
    return NotFoundError(
        f"No table of the query has a column '{name}'; they have: {', '.join(there) or 'no columns'}.",
        next_step="Correct the query.",
    )


def too_slow(timeout_s: float | None, otherwise: str) -> TimedOutError:
    """A query that was cancelled after `timeout_s`, or after what the warehouse's own limit is called."""
    given = f"{timeout_s:g} s" if timeout_s is not None else otherwise
    return TimedOutError(
        f"The query took longer than {given} and was cancelled.", next_step="Narrow it, or give it more time."
    )
