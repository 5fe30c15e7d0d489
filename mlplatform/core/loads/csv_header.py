"""A CSV object's first record: which columns it has, in which order, and whether they are the table's."""

from __future__ import annotations

import csv
import difflib

from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.loads.remedy import SAVE_AS_UTF8, UPLOAD_AGAIN, fix_columns
from mlplatform.core.tables.schema import MASKED, TableSchema
from mlplatform.errors import DataError

HEAD_BYTES = 1024 * 1024
"""How much of an object is looked at to find its header."""

_BOMS = ((b"\xff\xfe", "UTF-16 or UTF-32"), (b"\xfe\xff", "UTF-16"))


def csv_columns(head: bytes, format: CsvFormat, schema: TableSchema) -> tuple[str, ...]:  # noqa: A002
    """Names of the object's columns, in its order; without a header, the schema's.

    A column that may be NULL may be missing; then it is NULL. Order does not matter.

    Raises:
        DataError: empty, not UTF-8, or columns that are not the table's; the message says which.
    """
    if not head.strip():
        raise DataError(
            "the object is empty; expected a header line" if format.header else "the object is empty",
            next_step=UPLOAD_AGAIN,
        )
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            raise DataError(
                f"the object is {encoding} (byte order mark {mark.hex()}); expected UTF-8", next_step=SAVE_AS_UTF8
            )
    if not format.header:
        return schema.names
    try:
        text = head.removeprefix(b"\xef\xbb\xbf").decode(
            "utf-8", errors="strict" if len(head) < HEAD_BYTES else "replace"
        )
    except UnicodeDecodeError as error:
        first = head.split(b"\n", 1)[0]
        text = first.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
        if "�" in text:
            raise DataError(
                f"the header is not UTF-8: {error.reason} at byte {error.start}", next_step=SAVE_AS_UTF8
            ) from error
    columns = tuple(name.strip() for name in _fields(text, format))
    _check(columns, schema)
    return columns


def _fields(text: str, format: CsvFormat) -> list[str]:  # noqa: A002
    """Fields of the first record in `text`, whatever follows it."""
    if not format.quote:
        return text.splitlines()[0].split(format.delimiter) if text.splitlines() else []
    lines = text.splitlines(keepends=True)
    reader = csv.reader(
        lines,
        delimiter=format.delimiter,
        quotechar=format.quote,
        doublequote=format.quote == format.escape,
        escapechar=None if format.quote == format.escape else format.escape or None,
    )
    try:
        return next((row for row in reader if row), [])
    except csv.Error:
        return lines[0].rstrip("\r\n").split(format.delimiter)


def _check(columns: tuple[str, ...], schema: TableSchema) -> None:
    known = schema.names
    problems = []
    # Where a header should stand and does not, the first record does.
    told = [name if name in known or not schema.personal else MASKED for name in columns]
    for place, (name, shown) in enumerate(zip(columns, told, strict=True), 1):
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            where = f"'{name}'" if shown == name else f"{shown} at place {place}"
            problems.append(f"unknown column {where}" + (f" (near: '{near[0]}')" if near else ""))
    doubled = sorted({n for n in told if n != MASKED and told.count(n) > 1})
    problems += [f"column '{name}' twice" for name in doubled]
    problems += [f"no column '{c.name}'" for c in schema.columns if not c.nullable and c.name not in columns]
    if problems:
        raise DataError(
            f"the header does not fit table '{schema.name}': {', '.join(problems)}; "
            f"expected {', '.join(known)}, found {', '.join(told)}",
            next_step=fix_columns(schema.name),
        )
