"""Canonical SQL (DuckDB's dialect) as Redshift's, and the statements that only Redshift has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mlplatform.core.sql import identifier
from mlplatform.errors import DataError

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


def sql_type(logical: str) -> str:
    """Redshift's type of a logical one."""
    return TYPES.get(logical) or logical.upper()


def literal(text: str) -> str:
    """An SQL string. In Redshift a backslash escapes what follows it."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def select_sql(sql: str, schema: str) -> str:
    """One read-only statement in Redshift's dialect, tables qualified by `schema`, identifiers quoted and lower-case.

    Rewritten besides, since Redshift lacks them: FILTER, IS [NOT] DISTINCT FROM; and AVG of whole numbers, which
    Redshift rounds down.

    Raises:
        DataError: no SQL, several statements, or one that writes.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import ErrorLevel, SqlglotError
    from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
    from sqlglot.optimizer.qualify_tables import qualify_tables

    try:
        trees = [tree for tree in sqlglot.parse(sql, read="duckdb") if tree is not None]
    except SqlglotError as error:
        raise DataError(f"The query is no SQL: {error}") from error
    if len(trees) != 1:
        raise DataError(f"Expected one statement, found {len(trees)}.", next_step="Send them one by one.")
    tree = trees[0]
    if not isinstance(tree, exp.Query) or tree.find(exp.Into, exp.DML, exp.DDL) is not None:
        kind = next((n.key for n in tree.walk() if isinstance(n, (exp.DML, exp.DDL, exp.Into, exp.Command))), tree.key)
        raise DataError(
            f"A query only reads; found a statement of type {kind.upper()}.",
            next_step="Rows change by loading objects.",
        )
    tree = qualify_tables(normalize_identifiers(tree, dialect="duckdb"), db=exp.to_identifier(schema, quoted=True))
    try:
        return _bottom_up(tree).sql("redshift", identify=True, unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        raise DataError(f"Redshift cannot run the query: {error}") from error


def tables_of(sql: str) -> frozenset[str]:
    """Names of the tables in a statement of Redshift's dialect."""
    import sqlglot
    from sqlglot import exp

    return frozenset(table.name for table in sqlglot.parse_one(sql, read="redshift").find_all(exp.Table))


def _as_redshift(node: exp.Expr) -> exp.Expr:
    """One node's rewriting; children are done before their parents."""
    from sqlglot import exp

    if isinstance(node, exp.Placeholder) and not node.this:
        return exp.Var(this="?")
    if isinstance(node, exp.Filter):
        return _filtered(node)
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


def _filtered(node: exp.Filter) -> exp.Expr:
    """``agg(x) FILTER (WHERE c)`` as ``agg(CASE WHEN c THEN x END)``."""
    from sqlglot import exp

    aggregate: exp.Expr = node.this
    condition: exp.Expr = node.expression.this
    if aggregate.this is None or isinstance(aggregate.this, exp.Star):
        return exp.Count(this=exp.Case().when(condition, exp.Literal.number(1)))
    inner = aggregate.this
    for target in inner.expressions if isinstance(inner, exp.Distinct) else [inner]:
        target.replace(exp.Case().when(condition.copy(), target.copy()))
    return aggregate


def _bottom_up(tree: exp.Expr) -> exp.Expr:
    for node in reversed(list(tree.walk())):
        made = _as_redshift(node)
        if made is not node:
            node.replace(made)
    return tree


def null_safe_equal(left: str, right: str) -> str:
    """SQL: equal, or both NULL."""
    return f"({left} = {right} OR ({left} IS NULL AND {right} IS NULL))"


def create_sql(table: str, columns: Iterable[tuple[str, str]], *, temporary: bool = False) -> str:
    """CREATE TABLE of (name, Redshift's type). Only a permanent table may be there already."""
    declared = ", ".join(f"{identifier(name)} {kind}" for name, kind in columns)
    return (
        f"CREATE TEMP TABLE {table} ({declared})" if temporary else f"CREATE TABLE IF NOT EXISTS {table} ({declared})"
    )


def copy_sql(table: str, url: str, role: str) -> str:
    """COPY of one Parquet object."""
    return f"COPY {table} FROM {literal(url)} {_iam(role)} FORMAT AS PARQUET"


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
    if csv or ordered:
        options.append("PARALLEL OFF")
    return f"UNLOAD ({literal(select)}) TO {literal(url)} {_iam(role)} {' '.join(options)}"


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
    return "IAM_ROLE DEFAULT" if role == "default" else f"IAM_ROLE {literal(role)}"
