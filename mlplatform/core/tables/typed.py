"""A value of a declared type, from the text that loading reads it from (see `core.loads.fits`, which says it in SQL)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

Typed = str | bool | int | float | Decimal | date | datetime

_WHOLE = re.compile(r"\s*([+-]?[0-9]+)(\.0*)?\s*", re.ASCII)
_DAY = re.compile(r"\s*([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})(.*?)\s*", re.ASCII | re.DOTALL)
_TRUTH = {"true": True, "t": True, "yes": True, "y": True, "1": True}
_TRUTH |= {"false": False, "f": False, "no": False, "n": False, "0": False}


def text_of(value: Any) -> str:
    """The text of a value that JSON or Parquet carried, as loading sees it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def value_of(kind: str, text: str) -> Typed | None:
    """The value that `text` is of the declared type `kind`; None where it is none. Times are in UTC."""
    if kind.startswith("decimal"):
        return _decimal(text, int(kind.rstrip(")").partition(",")[2]))
    return _OF[kind](text)


def _whole(text: str) -> int | None:
    match = _WHOLE.fullmatch(text)
    number = int(match[1]) if match and len(match[1]) <= 40 else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _double(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _decimal(text: str, scale: int) -> Decimal | None:
    try:
        return Decimal(text.strip()).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    except InvalidOperation:
        return None


def _time(text: str) -> datetime | None:
    match = _DAY.fullmatch(text)
    if match is None:
        return None
    try:
        found = datetime.fromisoformat(f"{match[1]}-{match[2]:0>2}-{match[3]:0>2}{match[4]}")
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _day(text: str) -> date | None:
    match = _DAY.fullmatch(text)
    time = _time(f"{match[1]}-{match[2]}-{match[3]}") if match else None
    return time.date() if time else None


_OF: dict[str, Callable[[str], Typed | None]] = {
    "varchar": str,
    "json": str,
    "bigint": _whole,
    "double": _double,
    "boolean": lambda text: _TRUTH.get(text.lower()),
    "date": _day,
    "timestamp": _time,
}
