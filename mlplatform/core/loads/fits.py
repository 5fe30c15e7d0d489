"""What a value must satisfy, as SQL conditions (DuckDB's dialect) and as the sentence for a record that does not fit.

A check's SQL is never NULL: true means that the value fits. Policies: a double must be finite (NaN and infinities are
refused by name); a bigint must be whole (1.0 is, 1.5 is not: an engine's cast would round it); NULL passes wherever it
is allowed; a timestamp with an offset becomes UTC, one without is UTC.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlplatform.core.sql import literal
from mlplatform.core.tables.schema import MASKED, Column

_SHOWN = 80


@dataclass(frozen=True)
class Check:
    """One condition on one column: `code` names it in a list of failures, `sql` is true where the value fits."""

    column: str
    code: str
    sql: str


def typed_value(column: Column, text: str) -> str:
    """SQL of the column's value made from SQL `text`: NULL where it is none."""
    if column.type in ("varchar", "json"):
        return text
    if column.type == "timestamp":
        # A cast to TIMESTAMP drops an offset without a word, and one that heeds it is three times as slow.
        plain = f"(length({text}) = 10 OR (length({text}) = 19 AND substr({text}, 17, 1) = ':'))"
        heeded = f"CAST(TRY_CAST({text} AS TIMESTAMPTZ) AS TIMESTAMP)"
        return f"CASE WHEN {plain} THEN TRY_CAST({text} AS TIMESTAMP) ELSE {heeded} END"
    return f"TRY_CAST({text} AS {column.type.upper()})"


def type_check(column: Column, text: str) -> Check | None:
    """That `text` is a value of the column's type; None where every text is."""
    if column.type == "varchar":
        return None
    if column.type == "json":
        return Check(column.name, "type", f"({text} IS NULL OR json_valid({text}))")
    value = typed_value(column, text)
    if column.type == "bigint":
        whole = rf"regexp_full_match({text}, '\s*[+-]?[0-9]+(\.0*)?\s*')"
        fits = f"({value} IS NOT NULL AND (CAST({value} AS VARCHAR) = {text} OR {whole}))"
        return Check(column.name, "type", f"({text} IS NULL OR {fits})")
    return Check(column.name, "type", f"({text} IS NULL OR {value} IS NOT NULL)")


def value_checks(column: Column, value: str, text: str | None = None) -> list[Check]:
    """Conditions on SQL `value`, which is of the column's type (NULL where it was of none).

    With `text`, whether there is a value at all is asked of that: what is of another type is there.
    """
    checks = []
    if not column.nullable:
        checks.append(Check(column.name, "null", f"{text or value} IS NOT NULL"))
    if column.longest_bytes is not None:
        short = f"({value} IS NULL OR strlen({value}) <= {int(column.longest_bytes)})"
        checks.append(Check(column.name, "length", short))
    if not column.null_byte:
        checks.append(Check(column.name, "null byte", f"({value} IS NULL OR NOT contains({value}, chr(0)))"))
    if column.type == "double":
        checks.append(Check(column.name, "finite", f"({value} IS NULL OR isfinite({value}))"))
    bounds = [
        f"{value} {sign} {_bound(column, bound)}"
        for sign, bound in ((">=", column.minimum), ("<=", column.maximum))
        if bound is not None
    ]
    if bounds:
        checks.append(Check(column.name, "range", f"({value} IS NULL OR ({' AND '.join(bounds)}))"))
    if column.latest is not None:
        checks.append(Check(column.name, "future", f"({value} IS NULL OR {value} <= {_bound(column, column.latest)})"))
    if column.domain:
        allowed = ", ".join(literal(item) for item in column.domain)
        text = value if column.type == "varchar" else f"CAST({value} AS VARCHAR)"
        checks.append(Check(column.name, "domain", f"({value} IS NULL OR {text} IN ({allowed}))"))
    return checks


def _bound(column: Column, bound: float | str) -> str:
    if isinstance(bound, str):
        return f"CAST({literal(bound)} AS {column.type.upper()})"
    return repr(bound)


def reason(column: Column, code: str, found: str | None, *, masked: bool = False) -> str:
    """The sentence for a value that fails the check `code`; `masked`: it does not tell the value."""
    if code == "null":
        return f"column '{column.name}': expected a value, found none"
    shown = shorten(found, masked=masked)
    if code == "finite":
        return f"column '{column.name}': expected a finite number, found {shown}"
    if code == "range":
        low = "" if column.minimum is None else f" from {column.minimum}"
        high = "" if column.maximum is None else f" to {column.maximum}"
        return f"column '{column.name}': expected{low}{high}, found {shown}"
    if code == "future":
        return f"column '{column.name}': expected a time that has come (up to {column.latest} UTC at this load), found {shown}"
    if code == "length":
        size_bytes = len((found or "").encode())
        return f"column '{column.name}': expected at most {column.longest_bytes} bytes, found {size_bytes}"
    if code == "null byte":
        return f"column '{column.name}': expected text without a null byte, found {shown}"
    if code == "domain":
        return f"column '{column.name}': expected one of {', '.join(column.domain)}, found {shown}"
    return f"column '{column.name}': expected {column.type}, found {shown}"


def shorten(found: str | None, *, masked: bool = False) -> str:
    """A found value for a message: quoted, and cut where it is long; or masked."""
    if found is None:
        return "nothing"
    if masked:
        return MASKED
    return repr(found if len(found) <= _SHOWN else found[:_SHOWN] + "…")
