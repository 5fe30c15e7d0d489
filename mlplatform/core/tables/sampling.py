"""Samples of a table as SQL (DuckDB's dialect): the first rows, random ones, or random ones that keep a column's shares.

Which rows are drawn is decided by ``md5(seed ␟ key₁ ␟ key₂ …)``, compared as text: the same rows with the same seed, on
every engine with an MD5 whose keys have the same text there. Nothing is drawn by an engine's own SAMPLE, which gives other
rows each time, and a number that only comes near what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlplatform.core.sql import identifier, literal
from mlplatform.errors import SpecError


@dataclass(frozen=True)
class FirstK:
    """The first `rows` in the order of the key."""

    rows: int


@dataclass(frozen=True)
class Random:
    """`rows` drawn at random, each as likely as any other."""

    rows: int
    seed: int = 0


@dataclass(frozen=True)
class Stratified:
    """`rows` drawn at random, of each value of `column` its share, give or take one row (a rare value may be left out)."""

    column: str
    rows: int
    seed: int = 0


Sample = FirstK | Random | Stratified


def sample_sql(table: str, sample: Sample, *, columns: Sequence[str], key: Sequence[str]) -> str:
    """One SELECT of `columns` of at most `sample.rows` rows of `table`.

    `key`: columns that tell rows apart. Where rows have the same key, which of them is drawn is the engine's choice.

    Raises:
        SpecError: no rows are asked for, or there is no key or no such column.
    """
    if sample.rows < 1:
        raise SpecError(
            f"A sample has at least one row; asked for {sample.rows}.", next_step="Ask for one row or more."
        )
    if not key:
        raise SpecError(
            f"Table '{table}' has no column to draw rows by.", next_step="Name columns that tell rows apart."
        )
    wanted = [*key, *([sample.column] if isinstance(sample, Stratified) else [])]
    for name in wanted:
        if name not in columns:
            raise SpecError(f"Table '{table}' has no column '{name}'; it has: {', '.join(columns)}.")
    names = ", ".join(map(identifier, columns))
    source = f"SELECT {names} FROM {identifier(table)}"  # noqa: S608 - identifiers are quoted
    if isinstance(sample, FirstK):
        return f"{source} ORDER BY {', '.join(map(identifier, key))} LIMIT {sample.rows}"
    drawn = _drawn(sample.seed, key)
    if isinstance(sample, Random):
        return f"{source} ORDER BY {drawn} LIMIT {sample.rows}"
    # Of the rows in the column's order every (rows / all)-th: those where a multiple of all is stepped over.
    ranked = (
        f"SELECT {names}, ROW_NUMBER() OVER (ORDER BY {identifier(sample.column)}, {drawn}) - 1 AS _rank, "  # noqa: S608
        f"COUNT(*) OVER () AS _all FROM {identifier(table)}"
    )
    return f"SELECT {names} FROM ({ranked}) AS r WHERE MOD(_rank * {sample.rows}, _all) < {sample.rows}"  # noqa: S608


def _drawn(seed: int, key: Sequence[str]) -> str:
    parts = [literal(str(seed)), *(f"COALESCE(CAST({identifier(name)} AS VARCHAR), '')" for name in key)]
    return f"MD5({' || CHR(31) || '.join(parts)})"
