"""What a job pulls out of every warehouse: rows as they come, its share of them, and as they stood when they were counted."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from mlplatform.core.features.pull import Pull
from mlplatform.core.training.split import share_of
from mlplatform.errors import NotFoundError
from mlplatform.ports.batches import batches
from mlplatform.stations.pulled_rows import pull, pull_all, standing
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case, case, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

SQL = "SELECT ticker, change, price, volume, day FROM prices"
DAY = "2026-01-{:02d}"


def _load(case: Case, key: str, first: int, last: int) -> None:
    lines = [f"T{n % 7},{n / 2},{n},{n},{DAY.format(1 + n // 7)}\n" for n in range(first, last)]
    case.warehouse.create(PRICES)
    case.warehouse.load(case.plan(f"in/{key}.csv", HEADER + "".join(lines).encode()), PRICES, case.store)


def _pull(case: Case, rows: int, sql: str = SQL) -> Pull:
    stands = standing(case.warehouse, sql)
    return Pull(sql, ("ticker", "day"), ("day", "ticker"), rows, stands.version, stands.loads)


def test_shares_are_disjoint_and_together_all_rows(case: Case) -> None:
    _load(case, "a", 0, 100)
    wanted = _pull(case, 100)
    shares = [pa.Table.from_batches(list(pull(case.warehouse, wanted, n, 3))).to_pylist() for n in range(3)]
    assert sum(map(len, shares)) == 100
    for number, rows in enumerate(shares):
        assert {share_of(("ticker", "day"), (row["ticker"], row["day"]), 3) for row in rows} == {number}
        assert rows == sorted(rows, key=lambda row: (row["day"], row["ticker"]))
    whole = pull_all(case.warehouse, wanted)
    assert whole.num_rows == 100
    assert pull_all(case.warehouse, wanted, ["ticker"]).column_names == ["ticker"]


def test_rows_pulled_once_more_are_the_same_or_said_to_be_gone(case: Case) -> None:
    _load(case, "a", 0, 50)
    wanted = _pull(case, 50)
    rows = pull_all(case.warehouse, wanted).to_pylist()
    assert pull_all(case.open(), wanted).to_pylist() == rows
    _load(case, "b", 50, 80)
    if case.warehouse.capabilities.snapshots:
        assert pull_all(case.open(), wanted).to_pylist() == rows
        return
    with pytest.raises(NotFoundError, match="had seen 1 loads when the feature set was built; now they have seen 2"):
        pull_all(case.warehouse, wanted)


def test_another_count_of_rows_is_no_repeat(case: Case) -> None:
    _load(case, "a", 0, 20)
    with pytest.raises(NotFoundError, match="was built on 21, and there are 20"):
        pull_all(case.warehouse, replace(_pull(case, 20), rows=21))


def test_a_result_without_rows_still_says_its_columns(case: Case) -> None:
    _load(case, "a", 0, 5)
    found = list(batches(case.warehouse, f"{SQL} WHERE price < 0"))
    assert [batch.num_rows for batch in found] == [0]
    assert found[0].schema.names == ["ticker", "change", "price", "volume", "day"]


def test_other_questions_may_be_asked_while_rows_come(case: Case) -> None:
    _load(case, "a", 0, 60)
    rows = 0
    for batch in batches(case.warehouse, SQL):
        rows += batch.num_rows
        assert case.warehouse.query("SELECT COUNT(*) AS n FROM prices").column("n")[0].as_py() == 60
    assert rows == 60


def test_a_query_that_names_no_table_is_refused_before_any_row(case: Case) -> None:
    _load(case, "a", 0, 5)
    with pytest.raises(NotFoundError, match="nowhere"):
        next(batches(case.warehouse, "SELECT x FROM nowhere"))
