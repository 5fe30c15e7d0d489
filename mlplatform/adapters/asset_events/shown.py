"""How Dagster shows evidence: rows as a table, addresses as links, long text as Markdown, the rest as it is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

LONG_TEXT = 200
"""Text from so many characters on is shown as Markdown, which the UI unfolds."""

DIGITS = 6
"""Numbers are shown with so many digits, and never with fewer than their whole part has; files keep all of them."""

MAX_ROWS = 200
"""A table shows so many rows: an event is kept for ever."""

Metadata = dict[str, dg.MetadataValue[Any]]


def shown(metadata: Mapping[str, Any]) -> Metadata:
    """Evidence as metadata values; numbers stay numbers, so that the UI plots them."""
    return {name: _value(value) for name, value in metadata.items()}


def _value(value: Any) -> dg.MetadataValue[Any]:
    if isinstance(value, dg.MetadataValue):
        return value
    if value is None:
        return dg.MetadataValue.null()
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(_short(value))
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return dg.MetadataValue.json(_plain(value))
    if isinstance(value, Sequence):
        rows = list(value)
        return (
            _table(rows) if rows and all(isinstance(r, Mapping) for r in rows) else dg.MetadataValue.json(_plain(rows))
        )
    return dg.MetadataValue.text(str(value))


def _short(value: float) -> float:
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, max(0, DIGITS - 1 - math.floor(math.log10(abs(value)))))


def _text(value: str) -> dg.MetadataValue[Any]:
    if value.startswith(("http://", "https://")) and not any(c.isspace() for c in value):
        return dg.MetadataValue.url(value)
    if value.startswith("/") and value.endswith(".html"):
        return dg.MetadataValue.path(value)
    if "\n" in value or len(value) > LONG_TEXT:
        return dg.MetadataValue.md(value)
    return dg.MetadataValue.text(value)


def _table(rows: Sequence[Mapping[str, Any]]) -> dg.MetadataValue[Any]:
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    cells = [{name: _cell(row.get(name)) for name in names} for row in rows[:MAX_ROWS]]
    columns = [dg.TableColumn(name, _type([row[name] for row in cells])) for name in names]
    return dg.MetadataValue.table([dg.TableRecord(row) for row in cells], schema=dg.TableSchema(columns))


def _type(values: Sequence[Any]) -> str:
    """The narrowest type of the UI's table columns that all values have; it sorts by it."""
    kinds = {type(v) for v in values if v is not None}
    if kinds and kinds <= {int, float}:
        return "float" if float in kinds else "int"
    return "bool" if kinds == {bool} else "string"


def _cell(value: Any) -> str | int | float | bool | None:
    if isinstance(value, float):
        return _short(value)
    if value is None or isinstance(value, str | int | bool):
        return value
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """`value` in JSON's types only; what JSON has no type for, as text."""
    return json.loads(json.dumps(value, default=str))
