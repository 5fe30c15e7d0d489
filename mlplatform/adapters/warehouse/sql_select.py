"""Canonical SQL (DuckDB's dialect) as one read-only statement of another, tables qualified, identifiers quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlplatform.adapters.warehouse.sql_dialect import SqlDialect
from mlplatform.adapters.warehouse.sql_errors import WRONG_QUERY
from mlplatform.errors import DataError

if TYPE_CHECKING:
    from sqlglot import exp


def select_sql(sql: str, schema: str, dialect: SqlDialect) -> str:
    """`sql` in the dialect, its tables those of `schema`; names are folded as the warehouse keeps them.

    Rewritten besides, since the warehouses that this is for lack it: FILTER on an aggregate.

    Raises:
        DataError: no SQL, several statements, or one that writes; or what the dialect cannot say.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import ErrorLevel, SqlglotError
    from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
    from sqlglot.optimizer.qualify_tables import qualify_tables

    try:
        trees = [tree for tree in sqlglot.parse(sql, read="duckdb") if tree is not None]
    except SqlglotError as error:
        raise DataError(f"The query is no SQL: {error}", next_step=WRONG_QUERY) from error
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
    for name in tree.find_all(exp.Identifier):
        name.set("this", dialect.folded(name.name))
    try:
        written: str = _rewritten(tree, dialect).sql(dialect.sqlglot, identify=True, unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        raise DataError(
            f"{dialect.warehouse} cannot run the query: {error}",
            next_step="Say it in plainer SQL; what differs by warehouse is not translated.",
        ) from error
    return written


def tables_of(sql: str, dialect: SqlDialect) -> frozenset[str]:
    """Names of the tables in a statement that `select_sql` made; what WITH names is none."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(sql, read=dialect.sqlglot)
    return frozenset(table.name for table in tree.find_all(exp.Table) if table.db)


def _rewritten(tree: exp.Expr, dialect: SqlDialect) -> exp.Expr:
    """Node by node, children before their parents."""
    from sqlglot import exp

    for node in reversed(list(tree.walk())):
        made = _filtered(node) if isinstance(node, exp.Filter) else dialect.rewrite(node)
        if made is not node:
            node.replace(made)
    return tree


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
