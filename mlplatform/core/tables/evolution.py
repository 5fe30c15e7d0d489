"""What a table's columns must become to be a schema's: added, widened, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import ConflictError

_DECIMAL = re.compile(r"decimal\((\d+), *(\d+)\)")


def changes(
    schema: TableSchema,
    found: Mapping[str, str],
    *,
    same: Callable[[str, str], bool],
    widens: Callable[[str, str], bool],
) -> tuple[list[Column], list[Column]]:
    """Columns to add to the table, and columns to widen. `found`: its columns and their types, as `same` and `widens`
    compare them with a schema's.

    Raises:
        ConflictError: a column is of a type that cannot become the declared one; names both.
    """
    new, wider = [], []
    for column in schema.columns:
        kind = found.get(column.name)
        if kind is None:
            new.append(column)
        elif not same(kind, column.type):
            if not widens(kind, column.type):
                raise ConflictError(
                    f"Column '{column.name}' of table '{schema.name}' is {kind}, and cannot become {column.type}.",
                    next_step="Give the new column another name, or load into a new table.",
                )
            wider.append(column)
    return new, wider


def widens_decimal(found: str, declared: str) -> bool:
    """Whether `declared` is a decimal that holds every value of type `found` (a decimal, or bigint)."""
    old, new = _DECIMAL.fullmatch(found), _DECIMAL.fullmatch(declared)
    if new is None:
        return False
    whole, scale = int(new[1]) - int(new[2]), int(new[2])
    if old is not None:
        return whole >= int(old[1]) - int(old[2]) and scale >= int(old[2])
    return found == "bigint" and whole >= 19
