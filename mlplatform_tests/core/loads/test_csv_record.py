"""One CSV record's fields, held against Python's own reader."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.loads.csv_record import record_fields, record_of
from mlplatform.core.loads.plan import CsvFormat


@given(st.lists(st.text(st.sampled_from("ab \",;\n'")), min_size=1), st.sampled_from([",", ";"]))
def test_what_was_written_is_read(fields: list[str], delimiter: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="", quoting=csv.QUOTE_MINIMAL).writerow(fields)
    assert record_fields(out.getvalue(), CsvFormat(delimiter=delimiter)) == fields


@pytest.mark.parametrize("format_", [CsvFormat(), CsvFormat(delimiter=";", quote="'", escape="'")])
@given(fields=st.lists(st.text(st.sampled_from("ab \",;\\\n'")), min_size=2))
def test_fields_are_written_as_they_are_read(format_: CsvFormat, fields: list[str]) -> None:
    assert record_fields(record_of(fields, format_), format_) == fields


def test_without_quotes_fields_are_joined_as_they_are() -> None:
    assert record_of(["a\\", '"b"'], CsvFormat(quote="", escape="")) == 'a\\,"b"'


@pytest.mark.parametrize(
    ("record", "format_", "fields"),
    [
        ('"a,b', CsvFormat(), None),
        ('"a"b,c', CsvFormat(), None),
        ('a"b,c', CsvFormat(), ['a"b', "c"]),
        ('"a",', CsvFormat(), ["a", ""]),
        ('"a', CsvFormat(quote="", escape=""), ['"a']),
        (r'"a\"b",c', CsvFormat(escape="\\"), ['a"b', "c"]),
        (r'"a\\",c', CsvFormat(escape="\\"), ["a\\", "c"]),
        (r'"a\"', CsvFormat(escape="\\"), None),
    ],
)
def test_quotes_that_do_not_follow_the_dialect_are_no_fields(
    record: str, format_: CsvFormat, fields: list[str] | None
) -> None:
    assert record_fields(record, format_) == fields
