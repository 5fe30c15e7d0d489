"""The contract of the warehouse port: values at their ends come through every format as they are, or are refused by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import Case, case, counts, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

FORMATS = ("csv", "jsonl", "parquet")
ENDS = TableSchema(
    "ends",
    (
        Column("id", "bigint", nullable=False),
        Column("x", "double"),
        Column("n", "decimal(38,10)"),
        Column("seen", "timestamp"),
        Column("t"),
    ),
)
KATHMANDU = timezone(timedelta(hours=5, minutes=45))
DIGITS, LEAST = Decimal("1234567890123456789012345678.0123456789"), Decimal("-0.0000000001")
UNICODE = "ä€\U0001f600e\u0301 '\"\\ \n\t"
ROWS: list[tuple[Any, ...]] = [
    (-(2**63), 5e-324, DIGITS, datetime(1, 1, 1, tzinfo=UTC), UNICODE),
    (0, None, None, None, None),
    (2**53 + 1, -0.1, Decimal("0E-10"), datetime(1970, 1, 1, 5, 44, 59, 999999, tzinfo=KATHMANDU), "NULL"),
    (2**63 - 1, 1.7976931348623157e308, LEAST, datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), ""),
]
NOT_FINITE = ["NaN", "Infinity", "-Infinity"]


def in_utc(value: Any) -> Any:
    """A time as tables keep it."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def parquet(names: list[str], rows: list[tuple[Any, ...]], file: Path) -> Path:
    """The rows in a file whose times have a zone of their own."""
    kinds = {"seen": pa.timestamp("us", "Asia/Kathmandu"), "n": pa.decimal128(38, 10)}
    columns = zip(names, zip(*rows, strict=True), strict=True)
    pq.write_table(pa.table({name: pa.array(values, kinds.get(name)) for name, values in columns}), file)
    return file


def text(value: Any) -> Any:
    """A value as CSV and JSON lines write it, times with their offset."""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


def json_lines(names: list[str], rows: list[tuple[Any, ...]]) -> bytes:
    return "".join(json.dumps(dict(zip(names, map(text, row), strict=True))) + "\n" for row in rows).encode()


def csv(names: list[str], rows: list[tuple[Any, ...]]) -> bytes:
    def field(value: object) -> str:
        doubled = str(value).replace('"', '""')
        return "" if value is None else f'"{doubled}"'

    return "\n".join([",".join(names), *(",".join(field(text(v)) for v in row) for row in rows), ""]).encode()


def written(kind: str, names: list[str], rows: list[tuple[Any, ...]], folder: Path) -> bytes | Path:
    """The rows as an object of the kind."""
    if kind == "parquet":
        return parquet(names, rows, folder / "made.parquet")
    return json_lines(names, rows) if kind == "jsonl" else csv(names, rows)


@pytest.mark.parametrize("kind", FORMATS)
def test_values_at_their_ends_come_through(case: Case, kind: str, tmp_path: Path) -> None:
    case.warehouse.create(ENDS)
    data = written(kind, ENDS.names, ROWS, tmp_path)
    receipt = case.load(f"v/a.{kind}", data, schema=ENDS, shard="objects/v/")
    assert counts(receipt) == (4, 4, 0, 0, 0), case.reasons(receipt)
    found = case.rows("SELECT id, x, n, seen, t FROM ends ORDER BY id")
    assert found == [tuple(map(in_utc, row)) for row in ROWS]


@pytest.mark.parametrize("kind", FORMATS)
def test_numbers_that_are_none_are_refused_by_name(case: Case, kind: str, tmp_path: Path) -> None:
    case.warehouse.create(ENDS)
    rows: list[tuple[Any, ...]] = [(1, 0.5)]
    if kind == "parquet":
        rows += [(n, float(text)) for n, text in enumerate(NOT_FINITE, 2)]
    else:
        rows += [(n, text) for n, text in enumerate(NOT_FINITE, 2)]
    receipt = case.load(f"v/a.{kind}", written(kind, ["id", "x"], rows, tmp_path), schema=ENDS, shard="objects/v/")
    assert counts(receipt) == (4, 1, 3, 0, 0)
    reasons = [why for _, why, _ in case.reasons(receipt)]
    assert len(reasons) == 3
    for why, text in zip(reasons, NOT_FINITE, strict=True):
        told, _, value = why.rpartition(" ")
        assert told == "column 'x': expected a finite number, found"
        assert str(float(value.strip("'"))) == str(float(text))
    assert case.rows("SELECT id, x FROM ends") == [(1, 0.5)]


def test_a_number_too_large_for_a_double_and_javascripts_own_are_refused(case: Case) -> None:
    case.warehouse.create(ENDS)
    data = b'{"id":1,"x":1e999}\n{"id":2,"x":NaN}\n{"id":3,"x":-1e999}\n{"id":4,"x":1e-999}\n'
    receipt = case.load("v/a.jsonl", data, schema=ENDS, shard="objects/v/")
    assert counts(receipt) == (4, 1, 3, 0, 0)
    assert case.rows("SELECT id, x FROM ends") == [(4, 0.0)]
