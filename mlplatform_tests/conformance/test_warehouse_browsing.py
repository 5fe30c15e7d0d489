"""The contract of a warehouse one can look around in: databases, tables with their columns, and a preview of rows."""

from __future__ import annotations

import pytest

from mlplatform.core.tables.sampling import FirstK, sample_sql
from mlplatform.errors import NotFoundError
from mlplatform.ports.browsing import Browsable
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case, case, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]


@pytest.fixture
def browsable(case: Case) -> Browsable:
    assert isinstance(case.warehouse, Browsable)
    return case.warehouse


def test_tables_are_listed_with_their_columns_and_types(browsable: Browsable) -> None:
    tables = browsable.tables()
    assert {"prices", "_ledger", "_guards", "_quarantine", "_erasures"} <= set(tables)
    found = tables["prices"]
    assert list(found)[:5] == ["ticker", "change", "price", "volume", "day"]
    assert [found[c.name] for c in PRICES.columns] == ["varchar", "double", "double", "bigint", "date"]


def test_the_systems_own_database_is_among_those_there_are(browsable: Browsable) -> None:
    own = browsable.tables()
    assert own in [browsable.tables(name) for name in browsable.databases()]


def test_a_database_that_is_not_there_is_named_with_those_that_are(browsable: Browsable) -> None:
    with pytest.raises(NotFoundError, match=rf"no database 'nowhere'.*{browsable.databases()[0]}"):
        browsable.tables("nowhere")


def test_a_preview_is_the_first_hundred_rows(case: Case) -> None:
    lines = b"".join(b"T%03d,,%d,,2020-01-01\n" % (n, n) for n in range(150))
    case.load("in/a.csv", HEADER + lines)
    rows = case.rows(sample_sql("prices", FirstK(100), columns=["ticker", "price"], key=["ticker"]))
    assert sorted(rows) == [(f"T{n:03}", float(n)) for n in range(100)]
