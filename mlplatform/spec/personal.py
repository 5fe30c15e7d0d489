"""What is personal in a system: the tables' columns that say so, and what queries make of them.

A column of a query is personal where a personal column is in its expression, through subqueries (with what they take from
the query around them), joins and unions. A count of values is not, and rows that are only filtered, grouped or ordered by a
personal column tell nobody's value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from mlplatform.core.tables.schema import PROVENANCE
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope


class UntoldError(ValueError):
    """Nobody can tell which columns a query's outputs are made of."""


def personal_outputs(sql: str, tables: Sequence[TableSpec]) -> frozenset[str]:
    """Columns of a query that are made of personal ones.

    Raises:
        UntoldError: that cannot be told, as of ``COLUMNS(…)`` or of a table that is not the system's.
    """
    schemas = [table.schema_() for table in tables]
    if not any(schema.personal for schema in schemas):
        return frozenset()
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    known: dict[str, object] = {s.name: dict.fromkeys([*s.names, *PROVENANCE], "VARCHAR") for s in schemas}
    try:
        query = sqlglot.parse_one(sql, read="duckdb")
        spelled = [name.name for name in query.find_all(exp.Identifier)]
        scope = build_scope(qualify(query, schema=known, dialect="duckdb"))
    except SqlglotError as error:
        raise UntoldError(str(error).splitlines()[0]) from error
    if scope is None:
        raise UntoldError("it is no SELECT")
    base = {s.name: _Source(frozenset([*s.names, *PROVENANCE]) - s.personal, s.personal) for s in schemas}
    try:
        personal = _outputs(scope, base, {}).personal
    except RecursionError:
        raise UntoldError("it calls itself") from None
    # Names are met in lower case; the columns that come out are called as the query spells them.
    return personal.union(name for name in spelled if name.lower() in personal)


class _Source:
    """Names of what can be read from a table or subquery: those that tell nobody's value, and those that may."""

    def __init__(self, others: Collection[str], personal: Collection[str]) -> None:
        self.others = frozenset(others)
        self.personal = frozenset(personal)

    def tells(self, name: str) -> bool:
        """Whether a column may tell a personal value; one that is not known does (the row itself, say)."""
        return name not in self.others and (name in self.personal or bool(self.personal))


_Sources = Mapping[str, _Source]


def _outputs(scope: Scope, base: _Sources, around: _Sources) -> _Source:
    flags = _columns(scope, base, around)
    personal = frozenset(name for name, flag in flags if flag)
    return _Source(frozenset(name for name, _ in flags) - personal, personal)


def _columns(scope: Scope, base: _Sources, around: _Sources) -> list[tuple[str, bool]]:
    """The columns that a query has, in order, and which may tell a personal value.

    `base`: the system's tables. `around`: what a query around this one reads from, which its columns may be as well.
    """
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    if scope.set_operation_scopes:
        sides = [_columns(side, base, around) for side in scope.set_operation_scopes]
        if scope.expression.args.get("by_name"):
            return [column for side in sides for column in side]
        if len({len(side) for side in sides}) > 1:
            raise UntoldError("the sides of a union, by place, have not as many columns")
        columns = [(same[0][0], any(flag for _, flag in same)) for same in zip(*sides, strict=True)]
        # Each round of a query that calls itself may move values on to another column.
        moved = _calls_itself(scope.expression) and any(flag for _, flag in columns)
        return [(name, flag or moved) for name, flag in columns]
    if not isinstance(scope.expression, exp.Query):
        raise UntoldError("it is no SELECT")
    # As the engine looks names up: first in what the query itself reads from, then around it.
    sources = dict(around)
    for name, (node, source) in scope.selected_sources.items():
        sources[name] = _read(source, base, sources)
        if isinstance(node, exp.Table) and not isinstance(source, Scope) and node.alias_column_names:
            raise UntoldError(f"'{node.sql('duckdb')}' gives a table's columns other names")
    nested = {id(s.expression): bool(_outputs(s, base, sources).personal) for s in scope.subquery_scopes}
    return [(e.alias_or_name, _tells(e, sources, nested)) for e in scope.expression.selects]


def _calls_itself(query: exp.Expr) -> bool:
    from sqlglot import exp

    parent = query.parent.parent if isinstance(query.parent, exp.CTE) else None
    return isinstance(parent, exp.With) and bool(parent.recursive)


def _read(source: exp.Expr | Scope, base: _Sources, around: _Sources) -> _Source:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    if isinstance(source, Scope):
        # What a function makes rows of is not looked into: its columns may be anybody's.
        is_query = isinstance(source.expression, exp.Query)
        return _outputs(source, base, around) if is_query else _Source((), ("*",))
    if source.name not in base:
        raise UntoldError(f"there is no table '{source.name}'")
    return base[source.name]


def _tells(expression: exp.Expr, sources: _Sources, nested: Mapping[int, bool]) -> bool:
    """Whether a value of `expression` may tell a personal one."""
    from sqlglot import exp

    if isinstance(expression, exp.Count):
        return False
    if id(expression) in nested:
        return nested[id(expression)]
    if isinstance(expression, exp.Star | exp.Columns | exp.PositionalColumn):
        raise UntoldError(f"'{expression.sql('duckdb')}' does not name its columns")
    if isinstance(expression, exp.TableColumn):
        return any(s.personal for s in sources.values())
    if isinstance(expression, exp.Column):
        source = sources.get(expression.table)
        return any(s.personal for s in sources.values()) if source is None else source.tells(expression.name)
    if isinstance(expression, exp.Window):
        return _tells(expression.this, sources, nested)
    return any(_tells(child, sources, nested) for child in expression.iter_expressions())
