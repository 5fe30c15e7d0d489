"""A key's share of the rows is the same in SQL and in Python; shares are disjoint and cover all keys."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest

from mlplatform.core.features.pull import Pull
from mlplatform.core.training.split import HashSplit, sample_sql, share_of, share_sql
from mlplatform.errors import StateError

KEY = ("name", "number")
ROWS = pa.table(
    {
        "name": [None if n % 50 == 0 else ("ключ" if n % 3 else "") + str(n % 400) for n in range(5000)],
        "number": pa.array([n - 2500 for n in range(5000)], pa.int64()),
    }
)


def _shares(shares: int) -> list[list[tuple[str | None, int]]]:
    with duckdb.connect() as connection:
        connection.register("rows", ROWS)
        return [
            connection.execute(f"SELECT name, number FROM rows WHERE {share_sql(KEY, n, shares)}").fetchall()
            for n in range(shares)
        ]


@pytest.mark.parametrize("shares", [1, 2, 3, 7, 16])
def test_shares_are_disjoint_cover_all_rows_and_are_about_as_large(shares: int) -> None:
    found = _shares(shares)
    every = [row for share in found for row in share]
    assert sorted(every, key=str) == sorted(((r["name"], r["number"]) for r in ROWS.to_pylist()), key=str)
    assert min(map(len, found)) > 0.7 * 5000 / shares


@pytest.mark.parametrize("shares", [2, 3, 16])
def test_a_key_s_share_is_known_without_the_warehouse(shares: int) -> None:
    for share, rows in enumerate(_shares(shares)):
        assert {share_of(KEY, row, shares) for row in rows} == {share}


def test_a_share_says_nothing_about_channel_or_sample() -> None:
    split = HashSplit(KEY, 0.2, 0.2)
    with duckdb.connect() as connection:
        connection.register("rows", ROWS)
        parts = connection.execute(
            f"SELECT COUNT(*) FROM rows GROUP BY {split.sql()} = 'test', {share_sql(KEY, 0, 2)}, "
            f"{sample_sql(KEY, 0.5, 0)}, {sample_sql(KEY, 0.5, 1)}"
        ).fetchall()
    assert len(parts) == 16
    assert min(n for (n,) in parts) > 70


def test_a_pull_asks_for_one_share_of_some_columns_in_order() -> None:
    pull = Pull("SELECT * FROM t", ("k",), ("day", "k"), 10, "7", 3)
    assert pull.statement() == 'SELECT * FROM (\nSELECT * FROM t\n) AS p ORDER BY "day", "k"'
    assert pull.statement(1, 2, ["k"]) == (
        'SELECT "k" FROM (\nSELECT * FROM t\n) AS p WHERE '
        "SUBSTRING(MD5('share' || CHR(31) || COALESCE(CAST(\"k\" AS VARCHAR), '')), 1, 8) >= '80000000' "
        'ORDER BY "day", "k"'
    )
    assert Pull.from_json(pull.to_json()) == pull
    with pytest.raises(StateError, match="says not which rows"):
        Pull.from_json({"sql": "SELECT 1"})
