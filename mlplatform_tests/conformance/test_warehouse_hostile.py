"""The contract of the warehouse port: whatever a name or a value is made of, it is only a name or a value."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplatform.core.loads.erasure import Condition, Erasure
from mlplatform.core.sql import identifier
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.test_warehouse_erasure import NOW
from mlplatform_tests.conformance.warehouses import Case, case, counts, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

HOSTILE = "'\"\\`;-?$%:@[]{}()/*#&|!~^<>= \tab"
NAMES = st.lists(
    st.text(HOSTILE, min_size=1, max_size=12).map(lambda name: f"c{name}"),
    min_size=2,
    max_size=2,
    unique_by=lambda name: name.lower(),
)
"""A column's name is a user's: `spec` takes fewer characters, a table that others made may have any."""

VALUES = st.lists(
    st.text(st.one_of(st.sampled_from(HOSTILE + "\n\r"), st.characters(codec="utf-8", exclude_characters="\0"))),
    min_size=1,
    max_size=8,
)


TABLES = itertools.count()


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(names=NAMES, values=VALUES)
def test_any_name_and_any_value_is_only_text(case: Case, names: list[str], values: list[str]) -> None:
    (key, text), number = names, next(TABLES)
    schema = TableSchema(f"odd{number}", (Column(key, "bigint", nullable=False), Column(text)), unique_key=(key,))
    case.warehouse.create(schema)
    data = "".join(json.dumps({key: n, text: value}) + "\n" for n, value in enumerate(values)).encode()
    shard = f"objects/o'{number}/"
    receipt = case.load(f"o/{number}.jsonl", data, schema=schema, shard=shard)
    assert counts(receipt) == (len(values), len(values), 0, 0, 0)
    rows = case.rows(f"SELECT {identifier(key)}, {identifier(text)} FROM odd{number} ORDER BY {identifier(key)}")
    assert rows == list(enumerate(values))
    same = sum(value == values[0] for value in values)
    assert case.rows(f"SELECT count(*) AS n FROM odd{number} WHERE {identifier(text)} = ?", values[0]) == [(same,)]
    erasure = Erasure(f"e'{number}", f"odd{number}", (Condition(text, "equal", values[0]),), "asked 'for'", NOW)
    assert case.warehouse.erase(erasure).rows == same


@pytest.mark.parametrize("shard", ["objects/it's/", 'stream/"a"\\b/0', "objects/-- ; DROP TABLE prices/"])
def test_any_shard_has_a_guard_of_its_own(case: Case, shard: str) -> None:
    first = case.warehouse.guard("prices", shard, claim=True)
    assert (first.shard, first.last, first.epoch) == (shard, "", 1)
    assert case.open().guard("prices", shard) == first
