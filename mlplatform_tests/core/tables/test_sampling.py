"""Samples of a table: as many rows as were asked for, the same for a seed, and by a column's shares."""

from __future__ import annotations

from collections import Counter

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.tables.sampling import FirstK, Random, Sample, Stratified, sample_sql
from mlplatform.errors import SpecError

COLUMNS = ("id", "kind")


def drawn(sample: Sample, kinds: list[str]) -> list[tuple[int, str]]:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (id BIGINT, kind VARCHAR)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(kinds)))
        return connection.execute(sample_sql("t", sample, columns=COLUMNS, key=["id"])).fetchall()


def test_the_first_rows_are_those_of_the_key() -> None:
    assert drawn(FirstK(2), ["a", "b", "c"]) == [(0, "a"), (1, "b")]


def test_a_seed_draws_the_same_rows_again_and_another_draws_others() -> None:
    kinds = ["a"] * 1000
    first, again, other = drawn(Random(50, 1), kinds), drawn(Random(50, 1), kinds), drawn(Random(50, 2), kinds)
    assert first == again
    assert len({row[0] for row in first} & {row[0] for row in other}) < 15
    # Every tenth of the table gives about its share of 50: by chance it is off by 9 once in 60,000 seeds.
    tenths = Counter(row[0] // 100 for row in drawn(Random(500, 3), kinds))
    assert all(abs(tenths[n] - 50) < 30 for n in range(10))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 5))
def test_a_stratified_sample_has_the_rows_asked_for_and_of_each_value_its_share(
    kinds: list[str], rows: int, seed: int
) -> None:
    found = drawn(Stratified("kind", rows, seed), kinds)
    assert len(found) == min(rows, len(kinds))
    assert len(set(found)) == len(found)
    there = Counter(kinds)
    for kind, count in Counter(row[1] for row in found).items():
        assert abs(count - min(1.0, rows / len(kinds)) * there[kind]) <= 1


@pytest.mark.parametrize(
    ("sample", "key", "message"),
    [
        (Random(0), ["id"], "at least one row; asked for 0"),
        (Random(1), [], "no column to draw rows by"),
        (Random(1), ["nope"], "no column 'nope'; it has: id, kind"),
        (Stratified("nope", 1), ["id"], "no column 'nope'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(sample: Sample, key: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        sample_sql("t", sample, columns=COLUMNS, key=key)
