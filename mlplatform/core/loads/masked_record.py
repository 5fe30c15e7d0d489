"""A quarantined record as it is shown where values of personal columns are not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from mlplatform.core.loads.csv_record import record_fields, record_of
from mlplatform.core.loads.json_lines import DELIVERY_FIELDS, UNPARSED
from mlplatform.core.loads.misfit import is_free, misfit
from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.tables.schema import MASKED, Column, TableSchema

Mask = Callable[[Any], str]


def masked_record(
    raw: bytes,
    format: CsvFormat | None,  # noqa: A002
    columns: Sequence[str],
    schema: TableSchema,
    mask: Mask,
) -> bytes:
    """The record with values of personal columns as `mask` shows them; masked whole where its fields cannot be told.

    Masked as well is what does not fit its column, where values that slipped come to stand, and a field that the table has
    not, with its name: both may be anybody's. Free text fits anywhere: it is shown where fields are told by their names, and
    none of them holds what must be another's. CSV has `columns`, all else is JSON.
    """
    if columns and format is not None:
        return _csv(raw, format, columns, schema, mask)
    try:
        row = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return MASKED.encode()
    if not isinstance(row, dict) or UNPARSED in row:
        return MASKED.encode()
    own = {name: value for name, value in row.items() if name not in DELIVERY_FIELDS}
    slipped = any(name not in schema.names or _slipped(schema.column(name), value) for name, value in own.items())
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if name not in own:
            shown[name] = value
        elif name in schema.names:
            shown[name] = _shown(schema.column(name), value, mask, free=not slipped)
        else:
            shown[MASKED] = MASKED
    return msgspec.json.encode(shown)


def _csv(raw: bytes, format: CsvFormat, columns: Sequence[str], schema: TableSchema, mask: Mask) -> bytes:  # noqa: A002
    try:
        found = record_fields(raw.decode(), format)
    except UnicodeDecodeError:
        return MASKED.encode()
    if found is None or len(found) != len(columns):
        return MASKED.encode()
    fields = (_field(schema, name, value, format, mask) for name, value in zip(columns, found, strict=True))
    return record_of(fields, format).encode()


def _field(schema: TableSchema, name: str, text: str, format: CsvFormat, mask: Mask) -> str:  # noqa: A002
    if name not in schema.names:
        return MASKED
    column = schema.column(name)
    if text == format.null:
        return text
    # As the value that JSON would carry: its mask is then the one that capture gives it.
    value = _typed(column.type, text) if column.personal else text
    return str(_shown(column, value, mask, free=False))


def _slipped(column: Column, value: Any) -> bool:
    return value is not None and misfit(column, value) == "type"


def _shown(column: Column, value: Any, mask: Mask, *, free: bool) -> Any:
    if value is None:
        return None
    if column.personal:
        return mask(value)
    return value if (free or not is_free(column)) and not misfit(column, value) else MASKED


def _typed(kind: str, text: str) -> Any:
    with contextlib.suppress(ValueError):
        if kind == "bigint":
            return int(text)
        if kind == "double" or kind.startswith("decimal"):
            return float(text)
    return text
