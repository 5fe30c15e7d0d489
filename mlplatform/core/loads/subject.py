"""A data subject (whom rows are about) and what of them stands in an object or a record, in whatever format it is."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from mlplatform.core.loads.json_lines import SEQUENCE, UNPARSED
from mlplatform.core.loads.landing import filtered_line
from mlplatform.core.loads.plan import CsvFormat

NESTED = ("features", "keys")
"""Fields of a captured row under which the fields of the request stand."""


@dataclass(frozen=True)
class Subject:
    """Rows whose `column` as text is `value` are about the subject; captured ones also where it is one of its `masks`."""

    column: str
    value: str
    masks: frozenset[str] = frozenset()

    def masked(self, mask: Callable[[Any], str]) -> Subject:
        """The subject with its masks: of the value as text, and as the number or truth value that a request carries."""
        forms: list[Any] = [self.value]
        for number in (int, float):
            with contextlib.suppress(ValueError):
                forms.append(number(self.value))
        if self.value in ("true", "false"):
            forms.append(self.value == "true")
        return replace(self, masks=frozenset(map(mask, forms)))

    def is_of(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is about the subject: a record, a captured one (its fields are nested), or one nobody could read."""
        if UNPARSED in row:
            return self._is_named_in(base64.b64decode(str(row[UNPARSED])))
        if self._is(row.get(self.column)):
            return True
        nested = (row.get(name) for name in NESTED)
        return any(isinstance(fields, Mapping) and self._is_sent(fields.get(self.column)) for fields in nested)

    def in_record(self, raw: bytes, format: CsvFormat | None, columns: Sequence[str]) -> bool:  # noqa: A002
        """Whether a quarantined record is: CSV with its `columns`, else JSON; what is broken is searched for the value."""
        if columns and format is not None:
            rows = list(_csv_rows(raw.decode(errors="replace"), replace(format, header=False), columns))
            if len(rows) == 1 and None not in rows[0] and None not in rows[0].values():
                return self.is_of(rows[0])
        elif (row := _object(raw)) is not None:
            return self.is_of(row)
        return self._is_named_in(raw)

    def _is_named_in(self, raw: bytes) -> bool:
        """Whether bytes that nothing can read name the value, as a word of its own."""
        return re.search(rf"(?<!\w){re.escape(self.value)}(?!\w)", raw.decode(errors="replace")) is not None

    def in_csv(self, text: str, format: CsvFormat, columns: Sequence[str]) -> int:  # noqa: A002
        """How many records of CSV `text` are; `columns` names its fields (where there is a header, that does)."""
        return sum(self._is(row[self.column]) for row in _csv_rows(text, format, columns) if self.column in row)

    def in_json_lines(self, data: bytes) -> int:
        """How many lines are."""
        return sum(self.is_of(row) for row in map(_object, data.split(b"\n")) if row is not None)

    def taken_out(self, data: bytes) -> bytes:
        """Landing lines without the subject's: each leaves its sequence, marked as filtered."""
        return b"\n".join(self._without(line) for line in data.split(b"\n"))

    def _without(self, line: bytes) -> bytes:
        row = _object(line)
        return line if row is None or not self.is_of(row) else filtered_line(str(row[SEQUENCE]))

    def _is_sent(self, value: Any) -> bool:
        return self._is(value) or value in self.masks if isinstance(value, str) else self._is(value)

    def _is(self, value: Any) -> bool:
        return value is not None and not isinstance(value, Mapping | list) and str(value) == self.value


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return row if isinstance(row, dict) else None


def _csv_rows(text: str, format: CsvFormat, columns: Sequence[str]) -> csv.DictReader[str]:  # noqa: A002
    doubled = format.quote == format.escape
    return csv.DictReader(
        io.StringIO(text, newline=""),
        fieldnames=None if format.header else list(columns),
        delimiter=format.delimiter,
        quotechar=format.quote or None,
        quoting=csv.QUOTE_MINIMAL if format.quote else csv.QUOTE_NONE,
        doublequote=doubled,
        escapechar=None if doubled else format.escape,
        strict=False,
    )
