"""From Redshift's SQL to PostgreSQL's: a chain of small steps over the syntax tree, and a list of what Redshift refuses.

sqlglot writes most of the difference between the two dialects. A step stands here for what it leaves, or where the two
systems behave differently: snapshots, VARBYTE and SUPER, constraints that Redshift only notes. COPY and UNLOAD are in
`bulk.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from mlplatform_tests.servers.redshift.proxy import RedshiftRefusedError

Step = Callable[[exp.Expr], exp.Expr]

REFUSED: dict[type[exp.Expr], str] = {
    exp.OnConflict: "ON CONFLICT is not supported",
    exp.Returning: "RETURNING is not supported",
    exp.Filter: "FILTER on an aggregate is not supported",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM is not supported",
    exp.NullSafeNEQ: "IS DISTINCT FROM is not supported",
    exp.Lock: "SELECT FOR UPDATE is not supported",
    exp.Index: "indexes are not supported",
}
"""What PostgreSQL could run and Redshift could not: an adapter that leans on it fails here as it would there."""

_PLAIN = re.compile(r"\s*(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|LOCK|SET|RESET|DEALLOCATE|FETCH|CLOSE)\b", re.I)
_CURSOR = re.compile(r"\s*(DECLARE\s+\w+\s+CURSOR\s+FOR)\s+(.*)", re.I | re.S)
_BEGIN = re.compile(r"\s*(BEGIN|START)(\s+(WORK|TRANSACTION))?\s*;?\s*", re.I)


def translate(sql: str) -> str:
    """What PostgreSQL runs for `sql`. Raises RedshiftRefusedError."""
    if _BEGIN.fullmatch(sql):
        # Redshift reads from one snapshot through a transaction, and a later writer of the same rows fails.
        return "BEGIN ISOLATION LEVEL REPEATABLE READ"
    if _PLAIN.match(sql):
        return sql
    if (cursor := _CURSOR.fullmatch(sql)) is not None:
        return f"{cursor[1]} {translate(cursor[2])}"
    try:
        # Its tokenizer trips over a last empty string behind a parameter.
        trees = [tree for tree in sqlglot.parse(f"{sql}\n", read="redshift") if tree is not None]
    except SqlglotError as error:
        raise RedshiftRefusedError(f"syntax error: {error}", "42601") from error
    if len(trees) != 1 or isinstance(trees[0], exp.Command):
        raise RedshiftRefusedError(f"cannot run as one prepared statement: {sql[:200]}", "42601")
    tree = trees[0]
    for kind, why in REFUSED.items():
        if tree.find(kind):
            raise RedshiftRefusedError(why)
    for step in STEPS:
        tree = step(tree)
    return tree.sql("postgres")


def without_physical_design(tree: exp.Expr) -> exp.Expr:
    """Distribution, sort keys and encodings: how Redshift lays rows out."""
    design = (exp.DistKeyProperty, exp.SortKeyProperty, exp.DistStyleProperty)
    for properties in tree.find_all(exp.Properties):
        properties.set("expressions", [p for p in properties.expressions if not isinstance(p, design)])
    for constraint in list(tree.find_all(exp.ColumnConstraint)):
        if isinstance(constraint.kind, exp.EncodeColumnConstraint):
            constraint.pop()
    return tree


def without_enforced_keys(tree: exp.Expr) -> exp.Expr:
    """Redshift notes PRIMARY KEY and UNIQUE for its planner and enforces neither."""
    for node in list(tree.find_all(exp.PrimaryKey, exp.UniqueColumnConstraint, exp.PrimaryKeyColumnConstraint)):
        (node.parent if isinstance(node.parent, exp.ColumnConstraint) else node).pop()
    return tree


def other_types(tree: exp.Expr) -> exp.Expr:
    """VARBYTE is bytea, SUPER is json (it keeps the text), VARCHAR(MAX) has no length."""
    for node in list(tree.find_all(exp.DataType)):
        if node.this in (exp.DataType.Type.VARBINARY, exp.DataType.Type.BINARY):
            node.replace(exp.DataType(this=exp.DataType.Type.VARBINARY))
        elif node.this == exp.DataType.Type.SUPER:
            node.replace(exp.DataType.build("json", dialect="postgres"))
        elif node.this == exp.DataType.Type.VARCHAR and "MAX" in node.sql("redshift").upper():
            node.replace(exp.DataType.build("text", dialect="postgres"))
    return tree


def group_by_all(tree: exp.Expr) -> exp.Expr:
    """GROUP BY ALL names every projection that aggregates nothing."""
    for select in tree.find_all(exp.Select):
        group = select.args.get("group")
        if group is not None and group.args.get("all"):
            plain = [str(i) for i, e in enumerate(select.expressions, 1) if not e.find(exp.AggFunc)]
            select.set("group", None)
            if plain:
                select.group_by(*plain, copy=False)
    return tree


def whole_averages(tree: exp.Expr) -> exp.Expr:
    """Redshift's AVG of whole numbers is a whole number; PostgreSQL's is not. Casts to double pass."""
    for node in tree.find_all(exp.Avg):
        if not node.find(exp.Cast):
            raise RedshiftRefusedError("AVG without a CAST: of whole numbers Redshift gives a whole number")
    return tree


def exact_counts(tree: exp.Expr) -> exp.Expr:
    """APPROXIMATE COUNT(DISTINCT x) counts exactly."""
    for node in list(tree.find_all(exp.ApproxDistinct)):
        node.replace(exp.Count(this=exp.Distinct(expressions=[node.this])))
    return tree


def paths_into_text(tree: exp.Expr) -> exp.Expr:
    """JSON_EXTRACT_PATH_TEXT reads text."""
    for node in list(tree.find_all(exp.JSONExtractScalar)):
        node.set("this", exp.cast(node.this, "json", dialect="postgres"))
    return tree


def ordered_lists(tree: exp.Expr) -> exp.Expr:
    """LISTAGG has its order behind, STRING_AGG within."""
    for node in list(tree.find_all(exp.WithinGroup)):
        if isinstance(node.this, exp.GroupConcat):
            value, separator = node.this.this.sql("postgres"), node.this.args["separator"].sql("postgres")
            sql = f"STRING_AGG({value}, {separator}{node.expression.sql('postgres')})"
            node.replace(exp.maybe_parse(sql, dialect="postgres"))
    return tree


STEPS: tuple[Step, ...] = (
    without_physical_design,
    without_enforced_keys,
    other_types,
    group_by_all,
    whole_averages,
    exact_counts,
    paths_into_text,
    ordered_lists,
)
