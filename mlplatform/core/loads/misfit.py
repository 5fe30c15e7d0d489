"""What of a value does not fit its column, in plain Python: for showing it, and stricter than any engine.

What an engine takes and this does not (``2026/1/2``, ``+5``) is only not shown; what no engine takes must not be.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from mlplatform.core.tables.schema import Column

_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]*)?([eE][-+]?[0-9]{1,3})?", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]{1,19}(\.0*)?", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(
    _DAY.pattern + r"([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[-+][0-9]{2}(:?[0-9]{2})?)?)?", re.ASCII
)
_BOOLEANS = ("true", "false", "t", "f", "yes", "no", "y", "n", "1", "0")
_LARGEST = Decimal("1.8e308")

_Value = str | bool | Decimal | datetime


def is_free(column: Column) -> bool:
    """Whether the column holds any text at all."""
    return column.type == "json" or (column.type == "varchar" and not column.domain)


def misfit(column: Column, value: Any) -> Literal["", "type", "rule"]:
    """Why `value`, as JSON or CSV carries it, is none of the column's: it is of another type, or breaks a rule; or empty.

    A text that is not in the column's domain is of another type: it may be any other column's.
    """
    if column.type == "json":
        return "" if _is_short(column, msgspec.json.encode(value).decode()) else "rule"
    if isinstance(value, list | dict):
        return "type"
    found = _typed(column.type, value)
    if found is None:
        return "type"
    if isinstance(found, str):
        if column.domain and found not in column.domain:
            return "type"
        return "" if _is_short(column, found) else "rule"
    if column.domain and str(value).strip().lower() not in column.domain:
        return "rule"
    low, high, latest = (_bound(column.type, b) for b in (column.minimum, column.maximum, column.latest))
    outside = (low is not None and found < low) or any(b is not None and found > b for b in (high, latest))
    return "rule" if outside else ""


def _typed(kind: str, value: str | float | bool) -> Any:
    """The value, in a form that compares; None where it is of another type."""
    text = str(value)
    if kind == "varchar":
        return text
    if kind == "boolean":
        return text.lower() == "true" if text.lower() in _BOOLEANS else None
    if isinstance(value, bool):
        return None
    if kind in ("date", "timestamp"):
        return _moment(text, _DAY if kind == "date" else _TIME) if isinstance(value, str) else None
    if (_WHOLE if kind == "bigint" else _NUMBER).fullmatch(text) is None:
        return None
    return _within(kind, Decimal(text))


def _within(kind: str, number: Decimal) -> Decimal | None:
    """The number, where the type is large enough for it."""
    if kind == "bigint":
        return number if -(2**63) <= number < 2**63 else None
    if kind == "double":
        return number if abs(number) < _LARGEST else None
    digits, _, scale = kind.removeprefix("decimal(").rstrip(")").partition(",")
    return number if abs(number) < Decimal(10) ** (int(digits) - int(scale)) else None


def _moment(text: str, form: re.Pattern[str]) -> datetime | None:
    if form.fullmatch(text) is None:
        return None
    try:
        date.fromisoformat(text[:10])
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _bound(kind: str, bound: float | str | None) -> Any:
    if bound is None or kind not in ("date", "timestamp"):
        return None if bound is None else Decimal(str(bound))
    return _moment(str(bound)[:10] if kind == "date" else str(bound), _TIME)


def _is_short(column: Column, text: str) -> bool:
    if not column.null_byte and ("\0" in text or "\\u0000" in text):
        return False
    return column.longest_bytes is None or len(text.encode()) <= column.longest_bytes
