"""The contract of the warehouse port: values at their ends leave a warehouse as they are, by batches and in unloaded objects."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from mlplatform.ports.batches import batches
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.test_warehouse_values import ENDS, ROWS, in_utc, parquet
from mlplatform_tests.conformance.warehouses import Case, case, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

SQL = "SELECT id, x, n, seen, t FROM ends ORDER BY id"
NONE = "SELECT CAST('NaN' AS double) AS a, CAST('inf' AS double) AS b, CAST('-inf' AS double) AS c"
_READ: dict[str, Callable[[str], Any]] = {
    "id": int, "x": float, "n": Decimal, "seen": datetime.fromisoformat, "t": str,
}  # fmt: skip


def unloaded(case: Case, sql: str, kind: Literal["parquet", "csv"]) -> Iterator[bytes]:
    for part in case.warehouse.unload({"u/": sql}, case.store, format=kind)["u/"].parts:
        with case.store.open(part.key) as file:
            yield file.read()


def texts(data: bytes) -> list[tuple[str | None, ...]]:
    """Records of CSV as they are written: what is empty and in no quotes is NULL."""
    convert = pc.ConvertOptions(
        column_types=dict.fromkeys(ENDS.names, pa.string()),
        null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
    )  # fmt: skip
    table = pc.read_csv(
        io.BytesIO(data), parse_options=pc.ParseOptions(newlines_in_values=True), convert_options=convert
    )
    assert tuple(table.column_names) == tuple(ENDS.names)
    return [tuple(row.values()) for row in table.to_pylist()]


@pytest.fixture
def ends(case: Case, tmp_path: Path) -> list[tuple[Any, ...]]:
    """Rows that were loaded, as tables keep them."""
    case.warehouse.create(ENDS)
    file = parquet(ENDS.names, ROWS, tmp_path / "ends.parquet")
    assert case.load("v/a.parquet", file, schema=ENDS, shard="objects/v/").loaded == len(ROWS)
    return [tuple(map(in_utc, row)) for row in ROWS]


def test_values_at_their_ends_come_in_batches_as_they_are(case: Case, ends: list[tuple[Any, ...]]) -> None:
    found = [tuple(row.values()) for batch in batches(case.warehouse, SQL) for row in batch.to_pylist()]
    assert found == ends


def test_values_at_their_ends_are_unloaded_as_they_are(case: Case, ends: list[tuple[Any, ...]]) -> None:
    parts = [pq.read_table(io.BytesIO(data)) for data in unloaded(case, SQL, "parquet")]
    found = [tuple(row.values()) for part in parts for row in part.to_pylist()]
    assert found == ends


def test_values_at_their_ends_are_unloaded_as_text_that_says_them(case: Case, ends: list[tuple[Any, ...]]) -> None:
    lines = [line for data in unloaded(case, SQL, "csv") for line in texts(data)]
    read = [_READ[name] for name in ENDS.names]
    found = [tuple(None if v is None else f(v) for f, v in zip(read, line, strict=True)) for line in lines]
    assert found == ends


def test_numbers_that_are_none_leave_as_they_are(case: Case) -> None:
    def told(row: dict[str, Any]) -> list[str]:
        return [str(value) for value in row.values()]

    wanted = [str(value) for value in (math.nan, math.inf, -math.inf)]
    assert [told(row) for row in case.warehouse.query(NONE).to_pylist()] == [wanted]
    assert [told(row) for batch in batches(case.warehouse, NONE) for row in batch.to_pylist()] == [wanted]
    parts = [pq.read_table(io.BytesIO(data)) for data in unloaded(case, NONE, "parquet")]
    assert [told(row) for part in parts for row in part.to_pylist()] == [wanted]
