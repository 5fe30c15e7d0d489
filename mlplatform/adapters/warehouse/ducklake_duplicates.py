"""Rows that are there already: by unique key, within the batch and against the table, as sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.adapters.warehouse.staging.job import copy_parquet
from mlplatform.core.loads.plan import LoadPlan
from mlplatform.core.sql import identifier, literal
from mlplatform.core.tables.schema import TableSchema

if TYPE_CHECKING:
    import duckdb


def without_duplicates(
    connection: duckdb.DuckDBPyConnection, plan: LoadPlan, schema: TableSchema, staged: Path, target: Path
) -> int:
    """How many of the staged rows are duplicates; if any, the others are written to `target`, in their order.

    The first of equal rows stays. The table is only read where its keys lie between the batch's smallest and largest.
    """
    keys = ", ".join(identifier(name) for name in schema.unique_key)
    file = f"read_parquet({literal(str(staged))}, file_row_number = true)"
    connection.execute("DROP TABLE IF EXISTS temp.doubled")
    connection.execute("CREATE TEMP TABLE doubled (number BIGINT)")
    twice = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {file} GROUP BY {keys} HAVING count(*) > 1)"
    ).fetchone()
    if twice is not None and twice[0]:
        connection.execute(
            f"INSERT INTO doubled SELECT file_row_number FROM {file} "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY file_row_number) > 1"
        )
    connection.execute(
        f"INSERT INTO doubled SELECT s.file_row_number FROM {file} s SEMI JOIN "
        f"(SELECT {keys} FROM w.main.{identifier(plan.table)} WHERE {_near(connection, schema, file, plan)}) t ON {_same(schema)}"
    )
    count = connection.execute("SELECT count(DISTINCT number) FROM doubled").fetchone()
    found = int(count[0]) if count else 0
    if found:
        copy_parquet(
            connection,
            f"SELECT * EXCLUDE (file_row_number) FROM {file} WHERE file_row_number NOT IN (SELECT number FROM doubled) "
            "ORDER BY file_row_number",
            target,
        )
    connection.execute("DROP TABLE temp.doubled")
    return found


def _same(schema: TableSchema) -> str:
    return " AND ".join(
        f"s.{identifier(name)} {'IS NOT DISTINCT FROM' if schema.column(name).nullable else '='} t.{identifier(name)}"
        for name in schema.unique_key
    )


def _near(connection: duckdb.DuckDBPyConnection, schema: TableSchema, file: str, plan: LoadPlan) -> str:
    """SQL condition that leaves out what cannot be equal, by bounds that files' statistics can be held against."""
    bounded = [c for c in schema.columns if c.name in schema.unique_key and c.type not in ("json", "boolean")]
    conditions = []
    if plan.supersedes:
        conditions.append(f"_batch_id NOT IN ({', '.join(literal(batch) for batch in plan.supersedes)})")
    if bounded:
        ends = ", ".join(
            f"CAST(min({identifier(c.name)}) AS VARCHAR), CAST(max({identifier(c.name)}) AS VARCHAR)" for c in bounded
        )
        row = connection.execute(f"SELECT {ends} FROM {file}").fetchone() or ()
        for index, column in enumerate(bounded):
            low, high = row[2 * index], row[2 * index + 1]
            if low is None:
                continue
            name, kind = identifier(column.name), column.type.upper()
            between = f"{name} BETWEEN CAST({literal(low)} AS {kind}) AND CAST({literal(high)} AS {kind})"
            conditions.append(f"({between} OR {name} IS NULL)" if column.nullable else between)
    return " AND ".join(conditions) or "true"
