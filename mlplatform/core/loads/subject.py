"""A data subject (whom rows are about) and what of them stands in a row, a record or a line.

A value is compared as the column's declared type makes it, so that the bigint 4711 is also written 4711.0 or +4711. A
record that cannot be read as the table's is searched for the value instead.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any

import msgspec

from mlplatform.core.loads.csv_record import record_fields
from mlplatform.core.loads.json_lines import DELIVERY_FIELDS, SEQUENCE, UNPARSED
from mlplatform.core.loads.landing import filtered_line
from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.loads.raw_text import names_any
from mlplatform.core.tables.schema import TableSchema
from mlplatform.core.tables.typed import Typed, text_of, value_of

NESTED = ("features", "keys")
"""Fields of a captured row under which the fields of the request stand."""


@dataclass(frozen=True)
class Subject:
    """Rows whose `column` is `value` are about the subject; captured ones also where it is one of its `masks`.

    Attributes:
        types: what the column is declared as; values are equal if they are as text, or as one of these.
        fields: what a record of the table at hand may have; one that has others, and not the column, is searched.
    """

    column: str
    value: str
    masks: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()

    def of_table(self, schema: TableSchema) -> Subject:
        """The subject as the table has it."""
        types = {column.type for column in schema.columns if column.name == self.column} or self.types
        return replace(self, types=frozenset(types), fields=frozenset((*schema.names, *DELIVERY_FIELDS)))

    def masked(self, mask: Callable[[Any], str]) -> Subject:
        """The subject with its masks: of the value as text, and as the number or truth value that a request carries."""
        forms: list[Any] = [self.value]
        try:
            number = Decimal(self.value)
        except InvalidOperation:
            number = Decimal("nan")
        if number.is_finite():
            forms.append(float(number))
            if number == number.to_integral_value():
                forms += [int(number), str(int(number))]
        if self.value in ("true", "false"):
            forms.append(self.value == "true")
        return replace(self, masks=frozenset(map(mask, forms)))

    @cached_property
    def typed(self) -> Mapping[str, Typed]:
        """The value as each of `types` that it is one of."""
        found = {kind: value_of(kind, self.value) for kind in sorted(self.types)}
        return {kind: value for kind, value in found.items() if value is not None}

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Plain texts of which one stands wherever the value does; empty where it may be written without any of them."""
        found = {self.value}
        for kind in self.types:
            number = self.typed.get(kind)
            if kind == "bigint" and isinstance(number, int):
                found = found - {self.value} if self.types == {"bigint"} else found
                found.add(str(abs(number)))
            elif kind not in ("varchar", "bigint"):
                return ()
        return tuple(sorted(found)) if all(text.isascii() and text.isalnum() for text in found) else ()

    def is_of(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is about the subject: a record, a captured one (its fields are nested), or one nobody could read."""
        if UNPARSED in row:
            try:
                return self.is_named_in(base64.b64decode(str(row[UNPARSED])))
            except binascii.Error:
                return self.is_named_in(str(row[UNPARSED]).encode())
        if self.is_value(row.get(self.column)):
            return True
        nested = (row.get(name) for name in NESTED)
        return any(isinstance(fields, Mapping) and self._is_sent(fields.get(self.column)) for fields in nested)

    def is_value(self, value: Any) -> bool:
        """Whether a value of the column is the subject's."""
        if value is None or isinstance(value, Mapping | list):
            return False
        text = text_of(value)
        return text == self.value or any(value_of(kind, text) == mine for kind, mine in self.typed.items())

    def in_record(self, raw: bytes, format: CsvFormat | None, columns: Sequence[str]) -> bool:  # noqa: A002
        """Whether a record is: CSV with its `columns`, else JSON; what is not the table's is searched for the value."""
        row = _object(raw) if format is None or not columns else _row(raw, format, columns)
        twice = not columns and raw.count(self._field) > 1
        if row is None or (twice and not set(NESTED).intersection(row)):
            return self.is_named_in(raw)
        if self.is_of(row):
            return True
        strange = bool(self.fields) and not self.fields.issuperset(row) and self.column not in row
        return strange and self.is_named_in(raw)

    def is_named_in(self, raw: bytes) -> bool:
        """Whether bytes that nothing can read name the value, as a word of its own."""
        return names_any(raw, self._written)

    @cached_property
    def _written(self) -> frozenset[str]:
        """How the value may be written, escaped or as a number."""
        forms = {self.value, json.dumps(self.value)[1:-1], self.value.replace('"', '""')}
        return frozenset(forms | {text_of(value) for kind, value in self.typed.items() if kind != "timestamp"})

    @cached_property
    def _field(self) -> bytes:
        """The column's name as JSON writes it."""
        return json.dumps(self.column).encode()

    def taken_out(self, data: bytes) -> bytes:
        """Landing lines without the subject's: each leaves its sequence, marked as filtered."""
        return b"\n".join(self._without(line) for line in data.split(b"\n"))

    def _without(self, line: bytes) -> bytes:
        if not line.strip() or not self.in_record(line, None, ()):
            return line
        return filtered_line(str((_object(line) or {}).get(SEQUENCE, "")))

    def _is_sent(self, value: Any) -> bool:
        return self.is_value(value) or value in self.masks if isinstance(value, str) else self.is_value(value)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _row(raw: bytes, format: CsvFormat, columns: Sequence[str]) -> dict[str, Any] | None:  # noqa: A002
    try:
        fields = record_fields(raw.decode(), format)
    except UnicodeDecodeError:
        return None
    return dict(zip(columns, fields, strict=True)) if fields is not None and len(fields) == len(columns) else None
