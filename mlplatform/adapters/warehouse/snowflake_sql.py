"""Canonical SQL (DuckDB's dialect) as Snowflake's, and the statements that only Snowflake has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.adapters.warehouse import sql_select
from mlplatform.adapters.warehouse.sql_dialect import SqlDialect

if TYPE_CHECKING:
    from sqlglot import exp

TYPES: Mapping[str, str] = {
    "varchar": "VARCHAR",
    "bigint": "NUMBER(19, 0)",
    "decimal(19,0)": "NUMBER(19, 0)",
    "double": "FLOAT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP_NTZ(6)",
    "json": "VARCHAR",
    "blob": "BINARY",
}
"""Snowflake's types of the logical ones. Timestamps are in UTC and carry no zone; JSON is text, and CAST gives it back."""

LONGEST_VARCHAR_BYTES = 16 * 1024 * 1024

_UPPER = {ord(lower): ord(lower.upper()) for lower in "abcdefghijklmnopqrstuvwxyz"}


def upper(name: str) -> str:
    """A name as Snowflake keeps it when it is written without quotes: `their_sales` of others is found, and ours by them."""
    return name.translate(_UPPER)


def lower(name: str) -> str:
    """A name of Snowflake as the platform has it."""
    return name.translate({high: low for low, high in _UPPER.items()})


def _as_snowflake(node: exp.Expr) -> exp.Expr:
    """AVG and division of whole numbers, which Snowflake rounds to six places."""
    from sqlglot import exp

    if isinstance(node, exp.Avg) and not isinstance(node.this, exp.Cast):
        return exp.Avg(this=exp.cast(node.this, "double"))
    if isinstance(node, exp.Div) and not isinstance(node.left, exp.Cast):
        node.set("this", exp.cast(node.left, "double"))
    return node


DIALECT = SqlDialect(
    warehouse="Snowflake",
    sqlglot="snowflake",
    types=TYPES,
    provenance=("VARCHAR(64)", "VARCHAR(4096)", "VARCHAR(256)", "TIMESTAMP_NTZ(6)"),
    rewrite=_as_snowflake,
    folded=upper,
    timestamp_text="TO_VARCHAR({}, 'YYYY-MM-DD HH24:MI:SS.FF6')",
)


def select_sql(sql: str, schema: str) -> str:
    """One read-only statement as Snowflake has it, tables qualified by `schema`. See `sql_select.select_sql`."""
    return sql_select.select_sql(sql, schema, DIALECT)


def put_sql(file: Path, stage: str) -> str:
    """PUT of one file that is compressed already."""
    url = DIALECT.literal(f"file://{file}")
    return f"PUT {url} @{stage} AUTO_COMPRESS = FALSE SOURCE_COMPRESSION = NONE OVERWRITE = TRUE"


def copy_sql(table: str, stage: str, name: str) -> str:
    """COPY INTO of one Parquet file of a stage, all of it or nothing; the file is removed from the stage behind it."""
    return (
        f"COPY INTO {table} FROM @{stage}/{name} "
        "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE) "
        "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE ON_ERROR = ABORT_STATEMENT PURGE = TRUE"
    )
