"""The platform's own SQL runs on Redshift and gives what it gives on DuckLake: profiles on a baseline's bins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mlplatform.core.drift.profile import Field, Profile
from mlplatform.core.drift.profile_sql import take_baseline, take_profile
from mlplatform.ports.warehouse import Warehouse
from mlplatform_tests.conformance.object_stores import s3_store
from mlplatform_tests.conformance.redshift_warehouse import redshift_warehouse
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case, ducklake_case
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.redshift.server import Redshift

FIELDS = (Field("price", "numeric"), Field("volume", "numeric"), Field("ticker", "category"))


@pytest.fixture
def cases(redshift_server: Redshift, ministack_server: Ministack, tmp_path: Path) -> Iterator[tuple[Case, Case]]:
    """DuckLake and Redshift with the same rows."""
    store = s3_store(ministack_server)
    warehouse = redshift_warehouse(redshift_server)
    ducklake = ducklake_case(tmp_path)
    both = ducklake, Case("redshift", warehouse, store, lambda: warehouse)
    rows = b"".join(
        b"T%d,,%d.25,%s,2020-%02d-%02d\n"
        % (n % 7, n * 37 % 101, b"" if n % 5 == 0 else b"%d" % (n % 4), n // 28 + 1, n % 28 + 1)
        for n in range(300)
    )
    for case in both:
        case.warehouse.create(PRICES)
        assert case.load("in/a.csv", HEADER + rows).loaded == 300
    yield both
    ducklake.warehouse.close()  # type: ignore[attr-defined]
    warehouse.close()
    store.close()


def baseline(warehouse: Warehouse, relation: str) -> Profile:
    return take_baseline(warehouse.query, relation, FIELDS, histogram=warehouse.capabilities.histogram)


def test_a_baseline_taken_on_redshift_is_that_of_ducklake(cases: tuple[Case, Case]) -> None:
    ducklake, redshift = (baseline(case.warehouse, "prices") for case in cases)
    for name in ("volume", "ticker"):
        assert redshift.feature(name) == ducklake.feature(name)
    # DuckDB's deciles are approximate, Redshift's exact.
    mine, theirs = redshift.feature("price"), ducklake.feature("price")
    assert mine.edges == pytest.approx(theirs.edges, abs=0.6)
    prices = [n * 37 % 101 + 0.25 for n in range(300)]
    assert mine.edges == pytest.approx([float(np.quantile(prices, tenth / 10)) for tenth in range(1, 10)])
    assert [mine.mean, mine.sd] == pytest.approx([theirs.mean, theirs.sd])


def test_later_rows_are_profiled_alike_on_the_baselines_bins(cases: tuple[Case, Case]) -> None:
    shape = baseline(cases[0].warehouse, "prices")
    late = "(SELECT * FROM prices WHERE day >= '2020-06-01')"
    ducklake, redshift = (
        take_profile(case.warehouse.query, late, shape, histogram=case.warehouse.capabilities.histogram)
        for case in cases
    )
    assert redshift.to_json() == ducklake.to_json()
    assert redshift.rows == 160
