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
_TIME = re.compile(
    r"\s*(?P<year>\d{4})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})"
    r"([ T](?P<hour>\d{1,2}):(?P<minute>\d{1,2})(:(?P<second>\d{1,2})(\.(?P<part>\d+))?)?)?"
    r"\s*(?P<zone>Z|UTC|[+-]\d{2}(:?\d{2})?(:\d{2})?)?\s*",
    re.ASCII,
)
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
        number = Decimal(text.strip())
        return number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP) if number.is_finite() else None
    except InvalidOperation:
        return None


def _time(text: str) -> datetime | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    digits = {name: found or "0" for name, found in match.groupdict().items()}
    zone = {"0": "", "Z": "", "UTC": ""}.get(digits["zone"], digits["zone"])
    try:
        found = datetime.fromisoformat(
            f"{digits['year']}-{digits['month']:0>2}-{digits['day']:0>2}T"
            f"{digits['hour']:0>2}:{digits['minute']:0>2}:{digits['second']:0>2}.{digits['part'][:6]:0<6}{zone}"
        )
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _day(text: str) -> date | None:
    match = _TIME.fullmatch(text)
    day = _time(f"{match['year']}-{match['month']}-{match['day']}") if match else None
    return day.date() if day else None


_OF: dict[str, Callable[[str], Typed | None]] = {
    "varchar": str,
    "json": str,
    "bigint": _whole,
    "double": _double,
    "boolean": lambda text: _TRUTH.get(text.lower()),
    "date": _day,
    "timestamp": _time,
}
