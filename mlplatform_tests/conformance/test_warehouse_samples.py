"""The contract of the warehouse port: a sample is drawn in the warehouse, and every warehouse draws the same."""

from __future__ import annotations

import hashlib

import pytest

from mlplatform.core.tables.sampling import FirstK, Random, Sample, Stratified, sample_sql
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case, case, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

TICKERS = [f"{'AB'[n % 3 == 0]}{n}" for n in range(60)]


@pytest.fixture
def filled(case: Case) -> Case:
    lines = [f"{ticker},,{n},{n % 3},2020-01-01".encode() for n, ticker in enumerate(TICKERS)]
    assert case.load("in/a.csv", HEADER + b"\n".join(lines) + b"\n").loaded == 60
    return case


def drawn(case: Case, sample: Sample) -> list[str]:
    sql = sample_sql("prices", sample, columns=["ticker", "volume", "day"], key=PRICES.unique_key)
    return sorted(row[0] for row in case.rows(sql))


def test_the_first_rows_are_those_of_the_key(filled: Case) -> None:
    assert drawn(filled, FirstK(3)) == sorted(TICKERS)[:3]


def test_random_rows_are_those_with_the_smallest_hash_of_seed_and_key(filled: Case) -> None:
    def digest(ticker: str) -> str:
        return hashlib.md5(f"7\x1f{ticker}\x1f2020-01-01".encode(), usedforsecurity=False).hexdigest()

    assert drawn(filled, Random(20, seed=7)) == sorted(sorted(TICKERS, key=digest)[:20])


def test_of_each_value_of_a_column_comes_its_share(filled: Case) -> None:
    found = drawn(filled, Stratified("volume", 30, seed=1))
    assert len(found) == len(set(found)) == 30
    assert sum(ticker.startswith("B") for ticker in found) == 10
    assert found == drawn(filled, Stratified("volume", 30, seed=1))
