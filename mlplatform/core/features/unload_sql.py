"""The unload queries: the user's query, cut to a rolling window and one channel of the split. DuckDB's dialect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlplatform.core.sql import identifier, literal
from mlplatform.core.training.split import CHANNELS, ChannelName, Split, TimeSplit, sample_sql


@dataclass(frozen=True)
class Window:
    """The newest `last` distinct values of `column` that are at most `as_of` (read as SQL type `type`)."""

    column: str
    last: int
    as_of: str | None = None
    type: str = "varchar"


@dataclass(frozen=True)
class Sample:
    """A `share` of the keys, the same ones for a seed."""

    key: tuple[str, ...]
    share: float
    seed: int = 0


def unload_queries(
    query: str,
    *,
    target: str,
    split: Split,
    window: Window | None,
    order: Sequence[str],
    sample: Sample | None = None,
) -> dict[ChannelName, str]:
    """One SELECT a channel: all columns of the query, rows with a target only.

    `order`: columns the rows are sorted by, so that the same rows give the same bytes. `sample`: of the rows that are
    learned from; held-out rows are all there, so that what is said of a model does not depend on it.
    """
    rows = _rows(query, window, ranked=isinstance(split, TimeSplit))
    by = f" ORDER BY {', '.join(f'q.{identifier(name)}' for name in order)}" if order else ""
    some = f" AND {sample_sql(sample.key, sample.share, sample.seed)}" if sample else ""
    return {
        channel: f"{rows} AND q.{identifier(target)} IS NOT NULL AND {split.sql()} = '{channel}'"
        f"{'' if channel == 'test' else some}{by}"
        for channel in CHANNELS
    }


def score_query(query: str, *, columns: Sequence[str], where: str, order: Sequence[str]) -> str:
    """One SELECT of `columns` of the query's rows that `where` (SQL; empty: all) holds for, in the `order` of columns."""
    named = ", ".join(f"q.{identifier(name)}" for name in columns)
    by = ", ".join(f"q.{identifier(name)}" for name in order)
    some = f" WHERE ({where})" if where.strip() else ""
    return f"SELECT {named} FROM (\n{_body(query)}\n) AS q{some} ORDER BY {by}"  # noqa: S608


def count_query(query: str) -> str:
    """One SELECT of how many rows `query` has."""
    return f"SELECT COUNT(*) AS n FROM (\n{_body(query)}\n) AS c"  # noqa: S608


def without_target_query(query: str, *, target: str, window: Window | None) -> str:
    """One SELECT of how many rows of the window have no target."""
    rows = _rows(query, window, ranked=False, select="COUNT(*) AS n")
    return f"{rows} AND q.{identifier(target)} IS NULL"


def ahead_query(query: str, column: str, latest: str, kind: str) -> str:
    """One SELECT of whether rows have a `column` (of SQL type `kind`) later than `latest`."""
    name = identifier(column)
    rows = f"SELECT MAX(q.{name}) AS newest FROM (\n{_body(query)}\n) AS q"  # noqa: S608
    return f"SELECT newest > CAST({literal(latest)} AS {kind.upper()}) AS ahead FROM ({rows}) AS n"  # noqa: S608


def window_first_query(query: str, window: Window) -> str:
    """One SELECT of the window's smallest value."""
    return f"WITH _window AS ({_values(query, window)}) SELECT MIN(_value) AS first FROM _window"  # noqa: S608


def no_rows_query(query: str) -> str:
    """A SELECT that gives the query's columns and no row."""
    return f"SELECT * FROM (\n{_body(query)}\n) AS q WHERE 1 = 0"  # noqa: S608


def _rows(query: str, window: Window | None, *, ranked: bool, select: str = "q.*") -> str:
    # The query stands there twice, and is no common table expression: engines that write those down before they read them
    # (DuckDB does) would write down every row of the table for the sake of the window's.
    rows = f"SELECT {select} FROM (\n{_body(query)}\n) AS q"  # noqa: S608
    if window is None:
        return f"{rows} WHERE 1 = 1"
    ranks = ", ROW_NUMBER() OVER (ORDER BY _value) AS _rank, COUNT(*) OVER () AS _values" if ranked else ""
    return (
        f"WITH _window AS ({_values(query, window)}), _ranked AS (SELECT _value{ranks} FROM _window) "  # noqa: S608
        f"{rows} JOIN _ranked AS r ON q.{identifier(window.column)} = r._value WHERE 1 = 1"
    )


def _values(query: str, window: Window) -> str:
    """A SELECT of the window's values, the newest first."""
    column = identifier(window.column)
    until = "" if window.as_of is None else f" AND {column} <= CAST({literal(window.as_of)} AS {window.type.upper()})"
    return (
        f"SELECT DISTINCT {column} AS _value FROM (\n{_body(query)}\n) AS w WHERE {column} IS NOT NULL{until} "  # noqa: S608
        f"ORDER BY _value DESC LIMIT {int(window.last)}"
    )


def _body(query: str) -> str:
    return query.strip().rstrip(";")
