"""Canonical SQL (DuckDB's dialect) as Spark's, with its parameters written in: HiveServer2 binds none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.sql_dialect import SqlDialect
from mlplatform.adapters.warehouse.sql_errors import WRONG_QUERY
from mlplatform.adapters.warehouse.sql_select import select_sql
from mlplatform.errors import DataError

if TYPE_CHECKING:
    from sqlglot import exp

TYPES = {
    "varchar": "STRING",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP_NTZ",
    "json": "STRING",
    "blob": "BINARY",
}
"""Spark's types of the logical ones. Timestamps are in UTC and carry no zone; JSON is text."""


def sql_type(logical: str) -> str:
    """Spark's type of a logical one."""
    return TYPES.get(logical) or logical.upper()


def quoted(name: str) -> str:
    """`name` as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """`text` as a string: a backslash escapes what follows it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def value_sql(value: Any) -> str:
    """A value as a literal of its type. Raises DataError."""
    if value is None or isinstance(value, bool):
        return "NULL" if value is None else str(value).upper()
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise DataError(f"A parameter of a query is {value}, expected a whole number of 64 bits.")
        return f"CAST('{value}' AS BIGINT)"
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE)" if math.isfinite(value) else f"DOUBLE('{value}')"
    if isinstance(value, Decimal):
        return f"CAST('{value:f}' AS DECIMAL({max(len(value.as_tuple().digits), _scale(value), 1)},{_scale(value)}))"
    if isinstance(value, datetime):
        naive = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo is not None else value
        return f"CAST('{naive.isoformat(sep=' ')}' AS TIMESTAMP_NTZ)"
    if isinstance(value, date):
        return f"CAST('{value.isoformat()}' AS DATE)"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, str):
        return literal(value)
    raise DataError(f"A parameter of a query is of type {type(value).__name__}, which SQL has no literal of.")


def canonical(sql: str, parameters: Sequence[Any], *, schema: str, relation: Callable[[str], str | None]) -> str:
    """One read-only statement as Spark's. `relation`: what a table's name stands for, as SQL; None: a table of `schema`.

    Raises:
        DataError: see `sql_select.select_sql`; or other than one parameter for each ``?``.
    """
    from sqlglot import exp

    numbered, count = _numbered(sql)
    if count != len(parameters):
        raise DataError(f"The query has {count} places for parameters, found {len(parameters)} parameters.")

    def rewrite(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Placeholder):
            return exp.Var(this=value_sql(parameters[int(node.name) - 1]))
        if isinstance(node, exp.Table) and node.db == schema and (found := relation(node.name)) is not None:
            node.set("this", exp.Var(this=f"({found})"))
            node.set("db", None)
            return node
        return _as_spark(node)

    return select_sql(numbered, schema, replace(HIVE, rewrite=rewrite))


def condition(where: str, parameters: Sequence[Any]) -> str:
    """A condition of canonical SQL as Spark's."""
    select = canonical(f"SELECT 1 AS one WHERE {where}", parameters, schema="none", relation=lambda _: None)
    return select.partition(" WHERE ")[2]


def _numbered(sql: str) -> tuple[str, int]:
    """The statement with its ``?`` numbered in the order they stand in, and how many there are."""
    import sqlglot
    from sqlglot.errors import SqlglotError
    from sqlglot.tokenizer_core import TokenType

    try:
        tokens = sqlglot.tokenize(sql, read="duckdb")
    except SqlglotError as error:
        raise DataError(f"The query is no SQL: {error}", next_step=WRONG_QUERY) from error
    places = [token.start for token in tokens if token.token_type == TokenType.PLACEHOLDER]
    made, last = "", 0
    for number, place in enumerate(places, 1):
        made += f"{sql[last:place]}${number}"
        last = place + 1
    return made + sql[last:], len(places)


def _as_spark(node: exp.Expr) -> exp.Expr:
    """One node's rewriting; children are done before their parents."""
    from sqlglot import exp

    if isinstance(node, exp.DataType) and node.this in (exp.DataType.Type.VARCHAR, exp.DataType.Type.TEXT):
        # A VARCHAR with a length is checked by Spark, and cuts nothing off in DuckDB.
        return exp.DataType.build("text")
    if isinstance(node, exp.Table) and isinstance(node.this, exp.GenerateSeries):
        return _range(node)
    return node


def _range(node: exp.Table) -> exp.Expr:
    """Whole numbers as a table: DuckDB calls table and column `range` or `generate_series`, Spark its column `id`."""
    from sqlglot import exp

    series = node.this
    start, end, step = series.args.get("start"), series.args.get("end"), series.args.get("step")
    if not all(n is None or (isinstance(n, exp.Literal) and not n.is_string) for n in (start, end, step)):
        return node
    exclusive = bool(series.args.get("is_end_exclusive"))
    if not exclusive:
        end = exp.Add(this=end, expression=exp.Literal.number(1))
    name = "range" if exclusive else "generate_series"
    alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name))
    if not alias.args.get("columns"):
        alias.set("columns", [exp.to_identifier(name)])
    bounds = [bound for bound in (start, end, step) if bound is not None]
    node.set("this", exp.Anonymous(this="range", expressions=bounds))
    node.set("alias", alias)
    return node


def _scale(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


HIVE = SqlDialect(
    warehouse="Hive",
    sqlglot="spark",
    types=TYPES,
    provenance=("STRING", "STRING", "STRING", "TIMESTAMP_NTZ"),
    rewrite=_as_spark,
)
