"""Canonical SQL (DuckDB's dialect) as Redshift's, and the statements that only Redshift has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlplatform.adapters.warehouse import sql_select
from mlplatform.adapters.warehouse.sql_dialect import SqlDialect

if TYPE_CHECKING:
    from sqlglot import exp

TYPES: Mapping[str, str] = {
    "varchar": "VARCHAR(65535)",
    "bigint": "BIGINT",
    "double": "DOUBLE PRECISION",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "json": "VARCHAR(65535)",
    "blob": "VARBYTE(16777216)",
}
"""Redshift's types of the logical ones.

Timestamps are in UTC and carry no zone (Parquet unloads zoned ones as text). JSON is text: its functions read it from
there, and CAST gives it back, neither of which holds for SUPER.
"""

LONGEST_VARCHAR_BYTES = 65535


def _as_redshift(node: exp.Expr) -> exp.Expr:
    """IS [NOT] DISTINCT FROM, which Redshift lacks; AVG of whole numbers, which it rounds down; the order of a list."""
    from sqlglot import exp

    if isinstance(node, exp.Placeholder) and not node.this:
        return exp.Var(this="?")
    if isinstance(node, (exp.NullSafeEQ, exp.NullSafeNEQ)):
        # DECODE takes two NULLs for equal, and names each side once: a side may be a parameter.
        codes = (1, 0) if isinstance(node, exp.NullSafeEQ) else (0, 1)
        numbers = [exp.Literal.number(code) for code in codes]
        return exp.EQ(
            this=exp.Anonymous(this="DECODE", expressions=[node.left, node.right, *numbers]),
            expression=exp.Literal.number(1),
        )
    if isinstance(node, exp.GroupConcat) and isinstance(node.this, exp.Order):
        order = node.this
        listed = exp.GroupConcat(this=order.this.copy(), separator=node.args.get("separator"))
        return exp.WithinGroup(this=listed, expression=exp.Order(expressions=order.expressions))
    if isinstance(node, exp.Avg) and not isinstance(node.this, exp.Cast):
        return exp.Avg(this=exp.cast(node.this, "double"))
    return node


DIALECT = SqlDialect(
    warehouse="Redshift",
    sqlglot="redshift",
    types=TYPES,
    provenance=("VARCHAR(64)", "VARCHAR(4096)", "VARCHAR(256)", "TIMESTAMP"),
    rewrite=_as_redshift,
)


def select_sql(sql: str, schema: str) -> str:
    """One read-only statement as Redshift has it, tables qualified by `schema`. See `sql_select.select_sql`."""
    return sql_select.select_sql(sql, schema, DIALECT)


def copy_sql(table: str, url: str, role: str) -> str:
    """COPY of one Parquet object."""
    return f"COPY {table} FROM {DIALECT.literal(url)} {_iam(role)} FORMAT AS PARQUET"


def unload_sql(select: str, url: str, role: str, *, csv: bool) -> str:
    """UNLOAD of a query's rows to objects whose names begin with `url`, with a manifest of them.

    Several slices write at once, unless the query says in which order. UNLOAD takes no LIMIT in the outermost query.
    """
    import sqlglot

    tree = sqlglot.parse_one(select, read="redshift")
    ordered = tree.args.get("order") is not None
    if tree.args.get("limit") is not None or tree.args.get("offset") is not None:
        select = f"SELECT * FROM ({select}) AS limited{_order_again(tree)}"
    options = ["FORMAT AS CSV HEADER EXTENSION 'csv'" if csv else "FORMAT AS PARQUET", "MANIFEST VERBOSE"]
    if ordered:
        options.append("PARALLEL OFF")
    return f"UNLOAD ({DIALECT.literal(select)}) TO {DIALECT.literal(url)} {_iam(role)} {' '.join(options)}"


def _order_again(tree: exp.Expr) -> str:
    """ORDER BY of what holds the limited rows, where the terms are columns of the result or their numbers."""
    from sqlglot import exp

    order = tree.args.get("order")
    if order is None or not isinstance(tree, exp.Query):
        return ""
    for term in order.expressions:
        column = term.this
        if isinstance(column, exp.Column) and (tree.is_star or column.name in tree.named_selects):
            column.set("table", None)
        elif not isinstance(column, exp.Literal):
            return ""
    return f" {order.sql('redshift', identify=True)}"


def _iam(role: str) -> str:
    return "IAM_ROLE DEFAULT" if role == "default" else f"IAM_ROLE {DIALECT.literal(role)}"
