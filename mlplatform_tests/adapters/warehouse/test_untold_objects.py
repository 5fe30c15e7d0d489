"""Objects that cannot be loaded into a table with a personal column: why is told, and nothing of what they hold."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform_tests.conformance.warehouses import Case

SCHEMA = TableSchema("people", (Column("name", personal=True), Column("age", "double", nullable=False)))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    warehouse = DuckLakeWarehouse(tmp_path / "warehouse", masked=True)
    return Case("masked", warehouse, DirectoryObjectStore(tmp_path / "objects"), lambda: warehouse)


def _parquet(**columns: list[object]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("key", "data", "why"),
    [
        (
            "a.parquet",
            _parquet(name=["A"], Smith=[1]),
            "the file does not fit table 'people': unknown column ••• at place 2, no column 'age'; expected name, age, found name, •••",
        ),
        (
            "b.parquet",
            b"PAR1Smith",
            "the object is no whole Parquet file: Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file.",
        ),
        ("c.csv", b"name,age\nSmith,1\rJones,2\n\r", "the parser gave up: •••"),
    ],
)
def test_why_an_object_is_quarantined_whole_tells_nothing_that_it_holds(
    case: Case, key: str, data: bytes, why: str
) -> None:
    case.warehouse.create(SCHEMA)
    receipt = case.load(key, data, schema=SCHEMA)
    ((_, reason, _),) = case.reasons(receipt)
    said, _, step = reason.partition(why)
    assert said == f"Object '{key}': "
    assert step.startswith(". ")


def test_of_a_table_without_personal_columns_it_tells_what_was_found(case: Case) -> None:
    schema = TableSchema("people", (Column("name"),))
    case.warehouse.create(schema)
    receipt = case.load("a.parquet", _parquet(name=["A"], Smith=[1]), schema=schema)
    ((_, reason, _),) = case.reasons(receipt)
    why = "the file does not fit table 'people': unknown column 'Smith'; expected name, found name, Smith"
    assert reason.startswith(f"Object 'a.parquet': {why}. Correct the columns")
