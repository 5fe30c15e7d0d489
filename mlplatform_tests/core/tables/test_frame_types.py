"""A frame's types become a table's: S4's map, as data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import sqlglot

from mlplatform.core.tables.frame_types import FRAME_TYPES, frame_ddl, frame_schema, frame_type
from mlplatform.errors import DataError
from mlplatform.spec.loader import load_system
from mlplatform.spec.table import TableSpec

SYSTEM = Path(__file__).parents[3] / "mlplatform" / "defs" / "california_housing" / "defs.yaml"
FRAME = pd.DataFrame(
    {
        "Rooms": pd.Series([1], dtype="int64"),
        "MedInc": [8.3],
        "Coast": [True],
        "SeenAt": pd.to_datetime(["2026-01-02"], utc=True),
        "Name": ["Bay"],
        "Maybe": pd.Series([None], dtype="Int64"),
    }
)


@pytest.mark.parametrize(
    ("dtype", "sql", "logical"),
    [
        ("int64", "int", "bigint"),
        ("float64", "float8", "double"),
        ("bool", "boolean", "boolean"),
        ("datetime64[ns]", "datetime", "timestamp"),
        ("object", "varchar", "varchar"),
        ("category", "varchar", "varchar"),
        ("timedelta64[ns]", "varchar", "varchar"),
    ],
)
def test_each_type_of_a_frame_has_one_of_a_table(dtype: str, sql: str, logical: str) -> None:
    assert frame_type(dtype)[1:] == (sql, logical)


def test_a_table_for_a_frame_is_made_where_it_is_missing_and_emptied() -> None:
    create, empty = frame_ddl("housing", dict(FRAME.dtypes))
    assert create == (
        'CREATE TABLE IF NOT EXISTS "HOUSING" ("ROOMS" int, "MEDINC" float8, "COAST" boolean, "SEENAT" datetime, '
        '"NAME" varchar, "MAYBE" int)'
    )
    assert empty == 'TRUNCATE TABLE "HOUSING"'


@pytest.mark.parametrize("dialect", ["snowflake", "redshift", "duckdb"])
def test_the_statements_are_sql_of_the_warehouses(dialect: str) -> None:
    for statement in frame_ddl("housing", dict(FRAME.dtypes)):
        sqlglot.transpile(statement, read=dialect, write=dialect, error_level=sqlglot.ErrorLevel.RAISE)


def test_the_housing_system_s_columns_are_those_of_its_frame() -> None:
    spec = load_system(SYSTEM).get(TableSpec, "housing")
    types = {c.name: {"bigint": "int64", "double": "float64"}[c.type] for c in spec.columns}
    schema = frame_schema("housing", types)
    assert [(c.name, c.type) for c in schema.columns] == [(c.name, c.type) for c in spec.columns]


def test_names_that_differ_in_case_only_are_refused() -> None:
    with pytest.raises(DataError, match="Two columns of 't' differ in upper and lower case only"):
        frame_schema("t", {"a": "int64", "A": "int64"})
    assert {entry.logical for entry in FRAME_TYPES} == {"bigint", "double", "boolean", "timestamp"}
