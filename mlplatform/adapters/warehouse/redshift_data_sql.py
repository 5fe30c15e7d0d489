"""A statement with ``?`` for its parameters as the Data API has it: with names, and texts for values.

https://docs.aws.amazon.com/redshift/latest/mgmt/data-api-calling-considerations-parameters.html. A value is a text that the
database converts; one that must be of a type is cast. NULL and the empty text cannot be given: they stand in the statement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from mlplatform.errors import DataError

LONGEST_STATEMENT_BYTES = 100 * 1024

_PIECES = re.compile(
    r"""'(?:[^'\\]|''|\\.)*'"""  # a text
    r'''|"(?:[^"]|"")*"'''  # a name
    r"""|/\*.*?\*/|--[^\n]*"""  # a comment
    r"""|\?""",
    re.S,
)


def named(sql: str, parameters: Sequence[Any]) -> tuple[str, list[dict[str, str]]]:
    """The statement, and its parameters by name.

    Raises:
        DataError: more or fewer values than the statement has places, a value of a type that cannot be given, or a
            statement that is too long.
    """
    values, given = list(parameters), []

    def place(found: re.Match[str]) -> str:
        if found[0] != "?":
            return found[0]
        if not values:
            raise DataError(f"The statement has more than {len(parameters)} places for parameters.")
        value = values.pop(0)
        if value is None:
            return "NULL"
        if value == "":
            return "''"
        name = f"p{len(parameters) - len(values)}"
        given.append({"name": name, "value": _text(value)})
        kind = _kind(value)
        return f"CAST(:{name} AS {kind})" if kind else f":{name}"

    statement = _PIECES.sub(place, sql)
    if values:
        raise DataError(f"The statement has {len(values)} places too few for {len(parameters)} parameters.")
    size_bytes = len(statement.encode())
    if size_bytes > LONGEST_STATEMENT_BYTES:
        raise DataError(
            f"Redshift's Data API takes statements of at most {LONGEST_STATEMENT_BYTES} bytes, found {size_bytes}.",
            next_step="Shorten the query, or use another access than data-api.",
        )
    return statement, given


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(value: Any) -> str:
    """The type that a value is cast to; "": a text, which is converted to what it stands beside."""
    if isinstance(value, str):
        return ""
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "BIGINT" if -(2**63) <= value < 2**63 else "DECIMAL(38, 0)"
    if isinstance(value, float):
        return "DOUBLE PRECISION"
    if isinstance(value, Decimal) and value.is_finite():
        return f"DECIMAL(38, {max(0, -int(value.as_tuple().exponent))})"
    if isinstance(value, datetime):
        return "TIMESTAMP"
    if isinstance(value, date):
        return "DATE"
    raise DataError(f"A parameter cannot be given to Redshift's Data API: a value of type {type(value).__name__}.")
