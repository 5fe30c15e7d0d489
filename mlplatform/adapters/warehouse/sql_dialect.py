"""What one SQL warehouse says otherwise than another, as data: types, quoting, and the rewriting of canonical SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlplatform.core.sql import identifier
from mlplatform.core.tables.schema import PROVENANCE

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True)
class SqlDialect:
    """A warehouse's SQL.

    Attributes:
        warehouse: its name in messages.
        sqlglot: sqlglot's name of the dialect.
        types: its types of the logical ones; a decimal is one everywhere.
        provenance: its types of the provenance columns, in their order.
        rewrite: a node of canonical SQL as it must stand for sqlglot to write it in this dialect; children come first.
        folded: a name as the warehouse keeps it. Canonical SQL tells no upper case from lower.
        timestamp_text: SQL of a timestamp's whole text, microseconds too.
    """

    warehouse: str
    sqlglot: str
    types: Mapping[str, str]
    provenance: tuple[str, str, str, str]
    rewrite: Callable[[exp.Expr], exp.Expr]
    folded: Callable[[str], str] = str
    timestamp_text: str = "CAST({} AS VARCHAR(64))"

    def sql_type(self, logical: str) -> str:
        """The warehouse's type of a logical one."""
        return self.types.get(logical) or logical.upper()

    def identifier(self, name: str) -> str:
        """`name` as SQL."""
        return identifier(self.folded(name))

    def literal(self, text: str) -> str:
        """An SQL string, where a backslash escapes what follows it."""
        escaped = text.replace("\\", "\\\\").replace("'", "''")
        return f"'{escaped}'"

    def text(self, expression: str, logical: str) -> str:
        """SQL of the text of a value of that type."""
        return (self.timestamp_text if logical == "timestamp" else "CAST({} AS VARCHAR(64))").format(expression)

    @property
    def provenance_types(self) -> dict[str, str]:
        """Provenance columns and their types."""
        return dict(zip(PROVENANCE, self.provenance, strict=True))

    def create_sql(self, table: str, columns: Iterable[tuple[str, str]], *, temporary: bool = False) -> str:
        """CREATE TABLE of (name, the warehouse's type). Only a permanent table may be there already."""
        declared = ", ".join(f"{self.identifier(name)} {kind}" for name, kind in columns)
        made = "CREATE TEMP TABLE" if temporary else "CREATE TABLE IF NOT EXISTS"
        return f"{made} {table} ({declared})"


def null_safe_equal(left: str, right: str) -> str:
    """SQL: equal, or both NULL."""
    return f"({left} = {right} OR ({left} IS NULL AND {right} IS NULL))"
