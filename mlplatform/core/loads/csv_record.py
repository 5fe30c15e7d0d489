"""One CSV record as its fields, of any length, and back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from mlplatform.core.loads.plan import CsvFormat


def record_fields(record: str, format: CsvFormat) -> list[str] | None:  # noqa: A002
    """The record's fields; None where its quotes do not follow the dialect."""
    if not format.quote or format.quote not in record:
        return record.split(format.delimiter)
    fields: list[str] = []
    at = 0
    while True:
        if record.startswith(format.quote, at):
            read = _quoted(record, at + 1, format)
            if read is None:
                return None
            field, at = read
            if at < len(record) and not record.startswith(format.delimiter, at):
                return None
            end = at if at < len(record) else -1
        else:
            end = record.find(format.delimiter, at)
            field = record[at:] if end < 0 else record[at:end]
        fields.append(field)
        if end < 0:
            return fields
        at = end + len(format.delimiter)


def record_of(fields: Iterable[str], format: CsvFormat) -> str:  # noqa: A002
    """The record of these fields, each quoted where the dialect asks for it."""
    if not format.quote:
        return format.delimiter.join(fields)
    out = io.StringIO(newline="")
    doubled = format.quote == format.escape
    csv.writer(
        out,
        delimiter=format.delimiter,
        quotechar=format.quote,
        doublequote=doubled,
        escapechar=None if doubled else format.escape or None,
        lineterminator="",
    ).writerow(fields)
    return out.getvalue()


def _quoted(record: str, at: int, format: CsvFormat) -> tuple[str, int] | None:  # noqa: A002
    """What stands from `at` to the closing quote, and where that has ended; None where it never closes."""
    pieces: list[str] = []
    doubled = format.quote == format.escape
    while True:
        close = record.find(format.quote, at)
        escape = -1 if doubled or not format.escape else record.find(format.escape, at, max(close, 0))
        if close < 0:
            return None
        if escape >= 0:
            pieces += [record[at:escape], record[escape + 1 : escape + 2]]
            at = escape + 2
        elif doubled and record.startswith(format.quote, close + 1):
            pieces.append(record[at : close + 1])
            at = close + 2
        else:
            pieces.append(record[at:close])
            return "".join(pieces), close + 1
