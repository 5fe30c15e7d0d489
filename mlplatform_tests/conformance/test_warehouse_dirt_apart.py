"""The contract of the warehouse port: of records that do not fit for different reasons, each is quarantined as itself."""

from __future__ import annotations

import pytest

from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import Case, case, counts, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]


@pytest.mark.parametrize(
    ("kind", "bad"), [("boolean", "maybe"), ("date", "2020-13-01"), ("decimal(5,2)", "much"), ("timestamp", "then")]
)
def test_a_record_of_a_wrong_type_does_not_lend_its_place_to_one_behind_it(case: Case, kind: str, bad: str) -> None:
    schema = TableSchema("orders", (Column("id", nullable=False), Column("x", kind), Column("size", domain=("s", "m"))))
    case.warehouse.create(schema)
    lines = ["id,x,size", f"a,{bad},s", "b,,none", "c,,m", "d,,none", f"e,{bad},none", "f,,m", "g,,m"]
    receipt = case.load("in/a.csv", ("\n".join(lines) + "\n").encode(), schema=schema)
    assert counts(receipt) == (7, 3, 4, 0, 0)
    found = case.reasons(receipt)
    assert [(offset, raw.decode()) for offset, _, raw in found] == [(str(n), lines[n]) for n in (1, 2, 4, 5)]
    assert [reason.split(":")[0] for _, reason, _ in found] == [
        "column 'x'",
        "column 'size'",
        "column 'size'",
        "column 'x'",
    ]
    assert case.rows("SELECT id FROM orders ORDER BY id") == [("c",), ("f",), ("g",)]
