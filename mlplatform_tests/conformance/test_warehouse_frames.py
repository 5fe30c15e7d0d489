"""The contract of the warehouse port: a frame becomes a table by its types, and comes back as it was."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pandas as pd
import pytest

from mlplatform.core.tables.frame_types import frame_schema
from mlplatform.errors import ConflictError
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import Case, case, counts, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

FRAME = pd.DataFrame(
    {
        "Id": pd.Series([1, 2, 3], dtype="uint8"),
        "Rooms": pd.Series([-(2**63), 0, 2**63 - 1], dtype="int64"),
        "Maybe": pd.Series([None, 2**53 + 1, -1], dtype="Int64"),
        "Income": [8.25, 5e-324, 1.7976931348623157e308],
        "Small": pd.Series([0.5, -0.25, 3.0], dtype="float32"),
        "Missing": [1.5, float("nan"), 2.5],
        "Coast": [True, False, True],
        "SeenAt": pd.to_datetime(
            ["1970-01-01T00:00:00.000001Z", "2026-03-29T01:30:00Z", "2262-01-01T00:00:00Z"], utc=True, format="ISO8601"
        ).as_unit("us"),
        "Name": ["Bay", "", "Zürich '\"\\ \U0001f600\n\t"],
        "Noted": ["x", None, "NULL"],
    }
)
KINDS = ["bigint"] * 3 + ["double"] * 3 + ["boolean", "timestamp", "varchar", "varchar"]


def loaded(case: Case, frame: pd.DataFrame, folder: Path) -> None:
    """A table of the frame's types, with its rows."""
    schema = frame_schema("housing", dict(frame.dtypes))
    assert [column.type for column in schema.columns] == KINDS
    case.warehouse.create(schema)
    file = folder / "frame.parquet"
    frame.rename(columns=str.lower).to_parquet(file, index=False)
    assert counts(case.load("f/a.parquet", file, schema=schema, shard="objects/f/")) == (3, 3, 0, 0, 0)


def test_a_frame_comes_back_from_the_table_that_its_types_made(case: Case, tmp_path: Path) -> None:
    loaded(case, FRAME, tmp_path)
    names = [name.lower() for name in FRAME.columns]
    found = case.warehouse.query(f"SELECT {', '.join(names)} FROM housing ORDER BY id").to_pandas()
    wanted = FRAME.rename(columns=str.lower)
    wanted["seenat"] = wanted["seenat"].dt.tz_convert(UTC).dt.tz_localize(None)
    rooms, maybe = (case.rows(f"SELECT {name} FROM housing ORDER BY id") for name in ("rooms", "maybe"))
    assert rooms == [(-(2**63),), (0,), (2**63 - 1,)]
    assert maybe == [(None,), (2**53 + 1,), (-1,)]
    found["maybe"] = wanted["maybe"]  # where a value is missing, pandas makes doubles of whole numbers
    pd.testing.assert_frame_equal(found.astype(wanted.dtypes.to_dict()), wanted)


def test_a_frame_with_a_column_of_another_type_is_refused_by_name(case: Case, tmp_path: Path) -> None:
    loaded(case, FRAME, tmp_path)
    other = FRAME.assign(Name=[1, 2, 3])
    with pytest.raises(ConflictError, match=r"'name'.*varchar.*bigint"):
        case.warehouse.create(frame_schema("housing", dict(other.dtypes)))
