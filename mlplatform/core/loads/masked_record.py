"""A quarantined record as it is shown where values of personal columns are not."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from mlplatform.core.loads.json_lines import DELIVERY_FIELDS, UNPARSED
from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.tables.schema import MASKED, Column, TableSchema

Mask = Callable[[Any], str]
_BOOLEANS = ("true", "false", "t", "f", "yes", "no", "y", "n", "1", "0")
_TIME = re.compile(r"[-+0-9:. TZ]+")


def masked_record(
    raw: bytes,
    format: CsvFormat | None,  # noqa: A002
    columns: Sequence[str],
    schema: TableSchema,
    mask: Mask,
) -> bytes:
    """The record with values of personal columns as `mask` shows them; masked whole where its fields cannot be told.

    Masked as well is what is of another type than its column, where values that slipped come to stand, and a field that
    the table has not, with its name: both may be anybody's. CSV has `columns`, all else is JSON.
    """
    if columns and format is not None:
        return _csv(raw, format, columns, schema, mask)
    try:
        row = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return MASKED.encode()
    if not isinstance(row, dict) or UNPARSED in row:
        return MASKED.encode()
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if name in schema.names or name in DELIVERY_FIELDS:
            shown[name] = value if name in DELIVERY_FIELDS else _shown(schema.column(name), value, mask)
        else:
            shown[MASKED] = MASKED
    return msgspec.json.encode(shown)


def _csv(raw: bytes, format: CsvFormat, columns: Sequence[str], schema: TableSchema, mask: Mask) -> bytes:  # noqa: A002
    if not format.quote or format.quote != format.escape:
        return MASKED.encode()
    with contextlib.suppress(UnicodeDecodeError, csv.Error):
        text = io.StringIO(raw.decode(), newline="")
        rows = list(csv.reader(text, delimiter=format.delimiter, quotechar=format.quote, strict=True))
        if len(rows) == 1 and len(rows[0]) == len(columns):
            out = io.StringIO(newline="")
            fields = [_field(schema, n, value, format, mask) for n, value in zip(columns, rows[0], strict=True)]
            csv.writer(out, delimiter=format.delimiter, quotechar=format.quote, lineterminator="").writerow(fields)
            return out.getvalue().encode()
    return MASKED.encode()


def _field(schema: TableSchema, name: str, text: str, format: CsvFormat, mask: Mask) -> str:  # noqa: A002
    if name not in schema.names:
        return MASKED
    column = schema.column(name)
    if text == format.null:
        return text
    # As the value that JSON would carry: its mask is then the one that capture gives it.
    shown = _shown(column, _typed(column.type, text), mask)
    return text if shown is not MASKED and not column.personal else str(shown)


def _shown(column: Column, value: Any, mask: Mask) -> Any:
    if value is None:
        return None
    if column.personal:
        return mask(value)
    return value if _fits(column.type, value) else MASKED


def _typed(kind: str, text: str) -> Any:
    with contextlib.suppress(ValueError):
        if kind == "bigint":
            return int(text)
        if kind == "double" or kind.startswith("decimal"):
            return float(text)
    return text


def _fits(kind: str, value: Any) -> bool:
    if kind == "json":
        return True
    if kind in ("date", "timestamp"):
        return isinstance(value, str) and _TIME.fullmatch(value) is not None
    if kind == "boolean":
        return str(value).lower() in _BOOLEANS
    if kind == "varchar":
        return isinstance(value, str | int | float)
    return isinstance(_typed(kind, value) if isinstance(value, str) else value, int | float)
