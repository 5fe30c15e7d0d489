"""``text/csv`` by RFC 4180, in UTF-8, with a header (``header=present``) or in the signature's order.

An empty field is missing; so is ``NaN`` where a number is declared. A number is digits with ``.`` and an exponent;
nothing else is turned into one. Keys beside the signature stay text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlplatform.core.tables.schema import MASKED
from mlplatform.errors import DataError

if TYPE_CHECKING:
    from mlplatform.core.codecs.codec import Answer
    from mlplatform.core.codecs.fields import RequestFields

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class CsvCodec:
    """CSV with or without a header, as the content type declared it."""

    content_type = "text/csv; charset=utf-8; header=present"

    def __init__(self, *, header: bool) -> None:
        self.header = header

    def decode(self, body: bytes, fields: RequestFields) -> list[dict[str, Any]]:
        """The rows, numbers where the signature declares them. Raises DataError naming row and field."""
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"The body is not UTF-8: {error.reason} at byte {error.start}.") from error
        records = _records(text)
        names: Sequence[str] | None = None
        if self.header:
            names = next(records, [])
            fields.refuse_unknown(names, "The header")
            if len(set(names)) < len(names):
                raise DataError(f"The header names a field twice: {', '.join(names)}.")
        numeric = {i.name for i in fields.inputs if i.type == "double"}
        rows: list[dict[str, Any]] = []
        for number, record in enumerate(records, 1):
            if number > fields.max_rows:
                fields.refuse_count(number + sum(1 for _ in records))
            names = names or _order(record, fields)
            if len(record) != len(names):
                raise DataError(
                    f"Row {number}: expected {len(names)} fields ({', '.join(names)}), found {len(record)}."
                )
            rows.append(
                {
                    name: _number(value, number, name, fields.personal) if name in numeric else value or None
                    for name, value in zip(names, record, strict=True)
                }
            )
        fields.refuse_count(len(rows))
        return rows

    def encode(self, name: str, answers: Sequence[Answer], envelope: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - what is said once goes to headers
        """A header and one line a row: the value, its flags joined by ``;``, and a column a class's probability."""
        classes = list(answers[0].probabilities or {}) if answers else []
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        writer.writerow([name, "flags", *(f"probability_{c}" for c in classes)])
        for answer in answers:
            shares = answer.probabilities or {}
            writer.writerow([answer.value, ";".join(answer.flags), *(shares[c] for c in classes)])
        return out.getvalue().encode()


def _records(text: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"The body is not readable as CSV: {error}, in line {reader.line_num}.") from error
        if record:
            yield record


def _order(record: Sequence[str], fields: RequestFields) -> Sequence[str]:
    """The names of a record without a header: the signature's inputs, or these and the keys."""
    return fields.names[: len(fields.inputs)] if len(record) == len(fields.inputs) else fields.names


def _number(value: str, row: int, name: str, personal: frozenset[str]) -> float | None:
    if value == "":
        return None
    if _NUMBER.fullmatch(value):
        return float(value)
    if value.lower() == "nan":
        return None
    # Fields without names may have slipped: a text in one may be another's.
    found = MASKED if personal else f"'{value[:80]}'"
    raise DataError(f"Row {row}, field '{name}': expected a number, found the text {found}.")
