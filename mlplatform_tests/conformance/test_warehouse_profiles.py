"""The contract of the warehouse port: a profile is taken in one statement, and says what an embedded engine says.

Counts and extremes are equal; means and deviations to 1e-9 (engines add in another order); deciles, which some engines
estimate, to two hundredths of the rows.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from itertools import pairwise

import duckdb
import pyarrow as pa
import pytest

from mlplatform.core.drift.profile import Field, Profile
from mlplatform.core.drift.profile_sql import take_baseline, take_profile
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import HEADER, Case, case, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

FIELDS = [
    Field("ticker", "category"),
    Field("change", "numeric"),
    Field("price", "numeric"),
    Field("volume", "numeric"),
]
DAYS, TICKERS = 25, ("A", "B", "Ö'x", "D")


def rows() -> list[tuple[str, float | None, float, int | None, str]]:
    draw = random.Random(7)
    found = []
    for day in range(DAYS):
        for place, ticker in enumerate(TICKERS):
            change = None if (day + place) % 9 == 0 else draw.gauss(0, 3)
            price = 10 ** draw.uniform(0, 5)
            found.append((ticker, change, price, (day * 7) % 5, f"2020-01-{day + 1:02}"))
    return found


@pytest.fixture
def filled(case: Case) -> Case:
    lines = [",".join("" if value is None else str(value) for value in row) for row in rows()]
    assert case.load("in/a.csv", HEADER + "\n".join(lines).encode() + b"\n").loaded == DAYS * len(TICKERS)
    return case


@pytest.fixture(scope="module")
def embedded() -> Profile:
    """The baseline that DuckDB takes of the same rows."""
    names = ("ticker", "change", "price", "volume", "day")
    table = pa.table({name: [row[place] for row in rows()] for place, name in enumerate(names)})
    with duckdb.connect() as connection:
        connection.register("prices", table)
        return take_baseline(lambda sql: connection.execute(sql).to_arrow_table(), "prices", FIELDS)


def test_a_profile_takes_one_statement_and_says_what_the_embedded_engine_says(filled: Case, embedded: Profile) -> None:
    sent: list[str] = []

    def query(sql: str) -> pa.Table:
        sent.append(sql)
        return filled.warehouse.query(sql)

    found = take_profile(query, "prices", embedded, histogram=filled.warehouse.capabilities.histogram)
    assert len(sent) == 1
    assert found.rows == embedded.rows
    for mine, theirs in zip(found.features, embedded.features, strict=True):
        assert mine.histogram() == theirs.histogram()
        assert (mine.present, mine.integral, mine.minimum, mine.maximum) == (
            theirs.present,
            theirs.integral,
            theirs.minimum,
            theirs.maximum,
        )
        if theirs.kind == "numeric":
            assert mine.mean == pytest.approx(theirs.mean, rel=1e-9)
            assert mine.sd == pytest.approx(theirs.sd, rel=1e-9)


def test_a_baseline_has_a_bin_for_each_of_few_values_and_else_the_deciles(filled: Case, embedded: Profile) -> None:
    found = take_baseline(filled.warehouse.query, "prices", FIELDS, histogram=filled.warehouse.capabilities.histogram)
    assert found.feature("ticker").categories == embedded.feature("ticker").categories
    assert found.feature("volume").edges == embedded.feature("volume").edges
    for name, place in (("change", 1), ("price", 2)):
        values = sorted(float(v) for row in rows() if (v := row[place]) is not None)
        edges = found.feature(name).edges
        assert len(edges) == 9
        for decile, edge in enumerate(edges, 1):
            below = bisect_right(values, edge) / len(values)
            assert math.isclose(below, decile / 10, abs_tol=0.02 + 1 / len(values))
        assert all(a < b for a, b in pairwise(edges))


def test_a_text_is_profiled_by_its_length_in_characters(filled: Case) -> None:
    histogram = filled.warehouse.capabilities.histogram
    found = take_baseline(filled.warehouse.query, "prices", [Field("ticker", "text")], histogram=histogram)
    (ticker,) = found.features
    assert (ticker.kind, ticker.present, ticker.minimum, ticker.maximum, ticker.mean) == ("text", 100, 1, 3, 1.5)
    # One bin for each of the two lengths.
    assert [count for count in ticker.counts if count] == [75, 25]
