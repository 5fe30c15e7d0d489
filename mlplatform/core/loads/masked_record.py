"""A quarantined record as it is shown where values of personal columns are not."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from mlplatform.core.loads.json_lines import DELIVERY_FIELDS, UNPARSED
from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.tables.schema import MASKED, TableSchema

Mask = Callable[[Any], str]


def masked_record(
    raw: bytes,
    format: CsvFormat | None,  # noqa: A002
    columns: Sequence[str],
    schema: TableSchema,
    mask: Mask,
) -> bytes:
    """The record with values of personal columns as `mask` shows them; masked whole where its fields cannot be told.

    A field that the table has not is masked with its name: it may be anybody's. CSV has `columns`, all else is JSON.
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
            hidden = name in schema.personal and value is not None
            shown[name] = mask(value) if hidden else value
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
    if name not in schema.personal or text == format.null:
        return text
    return mask(_value(schema.column(name).type, text))


def _value(kind: str, text: str) -> Any:
    """The text as the value that JSON would carry, so that its mask is the one that capture gives it."""
    with contextlib.suppress(ValueError):
        if kind == "bigint":
            return int(text)
        if kind == "double" or kind.startswith("decimal"):
            return float(text)
    return text
