"""What is personal in a system: the tables' columns that say so, and what queries make of them.

A column of a query is personal where a personal column is in its expression, through subqueries, joins and unions. A
count of values is not, and rows that are only filtered, grouped or ordered by a personal column tell nobody's value.
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
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    columns: dict[str, object] = {s.name: dict.fromkeys([*s.names, *PROVENANCE], "VARCHAR") for s in schemas}
    try:
        scope = build_scope(qualify(sqlglot.parse_one(sql, read="duckdb"), schema=columns, dialect="duckdb"))
    except SqlglotError as error:
        raise UntoldError(str(error).splitlines()[0]) from error
    if scope is None:
        raise UntoldError("it is no SELECT")
    base = {s.name: _Source(frozenset([*s.names, *PROVENANCE]) - s.personal, s.personal) for s in schemas}
    try:
        return _outputs(scope, base).personal
    except RecursionError:
        raise UntoldError("it calls itself") from None


class _Source:
    """Names of what can be read from a table or subquery: those that tell nobody's value, and those that may."""

    def __init__(self, others: Collection[str], personal: Collection[str]) -> None:
        self.others = frozenset(others)
        self.personal = frozenset(personal)

    def tells(self, name: str) -> bool:
        """Whether a column may tell a personal value; one that is not known does (the row itself, say)."""
        return name not in self.others and (name in self.personal or bool(self.personal))


def _outputs(scope: Scope, base: Mapping[str, _Source]) -> _Source:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    if scope.set_operation_scopes:
        sides = [_flags(side, base) for side in scope.set_operation_scopes]
        flags = zip(*(side.values() for side in sides), strict=True)
        return _source({name: any(side) for name, side in zip(sides[0], flags, strict=True)})
    sources: dict[str, _Source] = {}
    for name, source in scope.sources.items():
        if isinstance(source, Scope):
            # What a function makes rows of is not looked into: its columns may be anybody's.
            is_query = isinstance(source.expression, exp.Query)
            sources[name] = _outputs(source, base) if is_query else _Source((), ("*",))
        elif source.name in base:
            sources[name] = base[source.name]
        else:
            raise UntoldError(f"there is no table '{source.name}'")
    nested = {id(s.expression): bool(_outputs(s, base).personal) for s in scope.subquery_scopes}
    return _source({e.alias_or_name: _tells(e, sources, nested) for e in _selects(scope)})


def _flags(scope: Scope, base: Mapping[str, _Source]) -> dict[str, bool]:
    found = _outputs(scope, base)
    return {e.alias_or_name: e.alias_or_name in found.personal for e in _selects(scope)}


def _selects(scope: Scope) -> list[exp.Expr]:
    from sqlglot import exp

    if not isinstance(scope.expression, exp.Query):
        raise UntoldError("it is no SELECT")
    return scope.expression.selects


def _source(flags: Mapping[str, bool]) -> _Source:
    return _Source([n for n, flag in flags.items() if not flag], [n for n, flag in flags.items() if flag])


def _tells(expression: exp.Expr, sources: Mapping[str, _Source], nested: Mapping[int, bool]) -> bool:
    """Whether a value of `expression` may tell a personal one."""
    from sqlglot import exp

    if isinstance(expression, exp.Count):
        return False
    if id(expression) in nested:
        return nested[id(expression)]
    if isinstance(expression, exp.Star | exp.Columns):
        raise UntoldError(f"'{expression.sql('duckdb')}' does not name its columns")
    if isinstance(expression, exp.TableColumn):
        return any(s.personal for s in sources.values())
    if isinstance(expression, exp.Column):
        source = sources.get(expression.table)
        return any(s.personal for s in sources.values()) if source is None else source.tells(expression.name)
    if isinstance(expression, exp.Window):
        return _tells(expression.this, sources, nested)
    return any(_tells(child, sources, nested) for child in expression.iter_expressions())
