"""The contract of the warehouse port: an unload of many rows comes in several objects, each readable by itself, in the query's order."""

from __future__ import annotations

import hashlib
import io
from typing import Literal

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from mlplatform.adapters.warehouse import ducklake_unload, hive_unload, snowflake_unload
from mlplatform.ports.warehouse import Unloaded
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import ADAPTERS, Case, case, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

ROWS = 8**6
_DIGITS = " UNION ALL ".join(f"SELECT {digit} AS x" for digit in range(8))
_NUMBER = " + ".join(f"{name}.x * {8**place}" for place, name in enumerate("abcdef"))
MANY = (
    f"WITH d AS ({_DIGITS}), r AS (SELECT {_NUMBER} AS n FROM {', '.join(f'd AS {name}' for name in 'abcdef')}) "
    "SELECT n, CASE WHEN n % 3 > 0 THEN 'a \"word\", it''s' || CHR(10) || CAST(n AS VARCHAR) END AS line FROM r"
)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects are full early. Redshift's slices write one each, whatever its size, unless the query has an order."""
    monkeypatch.setattr(ducklake_unload, "PART_BYTES", 500_000)
    monkeypatch.setattr(snowflake_unload, "PART_ROWS", 100_000)
    monkeypatch.setattr(hive_unload, "PART_ROWS", 100_000)


def read(case: Case, unloaded: Unloaded, kind: str) -> list[pa.Table]:
    """The rows of each part, which is what it is said to be."""
    found = []
    for part in unloaded.parts:
        with case.store.open(part.key) as file:
            data = file.read()
        assert (part.size_bytes, part.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        if kind == "csv":
            convert = pc.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
            options = pc.ParseOptions(newlines_in_values=True)
            table = pc.read_csv(io.BytesIO(data), parse_options=options, convert_options=convert)
        else:
            table = pq.read_table(io.BytesIO(data))
        assert table.column_names == ["n", "line"]
        assert table.num_rows == part.rows
        found.append(table)
    return found


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_many_rows_come_in_several_parts_that_are_each_readable_and_together_all(
    case: Case, kind: Literal["parquet", "csv"]
) -> None:
    done = case.warehouse.unload({"u/": MANY}, case.store, format=kind)["u/"]
    parts = read(case, done, kind)
    # A user's own adapter may write one.
    assert len(parts) > 1 or case.name not in ADAPTERS
    assert [part.key for part in done.parts] == sorted(info.key for info in case.store.list("u/"))
    rows = pa.concat_tables([table.cast(parts[0].schema) for table in parts]).sort_by("n")
    assert rows.column("n").to_pylist() == list(range(ROWS))
    texts = rows.column("line").to_pylist()
    assert texts[:3] == [None, 'a "word", it\'s\n1', 'a "word", it\'s\n2']
    assert texts.count(None) == (ROWS + 2) // 3


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_order_of_a_query_goes_through_its_parts(case: Case, kind: Literal["parquet", "csv"]) -> None:
    done = case.warehouse.unload({"u/": f"{MANY} ORDER BY n DESC"}, case.store, format=kind)["u/"]
    numbers = [n for table in read(case, done, kind) for n in table.column("n").to_pylist()]
    assert numbers == list(range(ROWS - 1, -1, -1))


@pytest.mark.usefixtures("small_parts")
def test_the_same_rows_in_order_are_the_same_bytes_in_the_same_parts(case: Case) -> None:
    queries = {f"u/{name}/": f"{MANY} ORDER BY n" for name in ("once", "again")}
    once, again = case.warehouse.unload(queries, case.store).values()
    assert [part.sha256 for part in again.parts] == [part.sha256 for part in once.parts]
