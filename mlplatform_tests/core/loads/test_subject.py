"""Whose a record is, in every format, and landing lines without somebody's."""

from __future__ import annotations

import base64
import json

import pytest

from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.loads.subject import Subject
from mlplatform.core.tables.schema import Column, TableSchema

ANNA = Subject("who", "Anna")


@pytest.mark.parametrize(
    ("row", "theirs"),
    [
        ({"who": "Anna", "x": 1}, True),
        ({"who": "Annabel"}, False),
        ({"who": None}, False),
        ({"other": "Anna"}, False),
        ({"features": {"who": "Anna"}, "keys": {}}, True),
        ({"features": {}, "keys": {"who": "Anna"}}, True),
        ({"features": {"other": "Anna"}, "keys": None}, False),
    ],
)
def test_a_row_is_theirs_by_its_column(row: dict[str, object], theirs: bool) -> None:
    assert ANNA.is_of(row) is theirs


def test_a_number_is_told_by_its_text() -> None:
    assert Subject("id", "7").is_of({"id": 7})
    assert not Subject("id", "7").is_of({"id": 77})


@pytest.mark.parametrize(
    ("kind", "asked", "written", "theirs"),
    [
        ("bigint", "4711", " 4711", True),
        ("bigint", "4711", "+4711.00", True),
        ("bigint", "4711", 4711.0, True),
        ("bigint", "4711", "4711.5", False),
        ("bigint", "4711", True, False),
        ("bigint", "1", True, False),
        ("bigint", "x1", "x1", True),
        ("double", "4711", "4.711e3", True),
        ("double", "0.1", 0.1, True),
        ("decimal(8,2)", "1.5", "1.499", True),
        ("decimal(8,2)", "1.5", "1.51", False),
        ("boolean", "true", "T", True),
        ("date", "1980-01-02", "1980/1/2", True),
        ("timestamp", "2026-01-01T10:00:00Z", "2026-01-01 12:00:00+02:00", True),
        ("timestamp", "2026-01-01T10:00:00Z", "2026-01-01 10:00:01", False),
        ("varchar", "4711", "4711.0", False),
        ("varchar", "4711", 4711, True),
        ("varchar", "true", True, True),
    ],
)
def test_a_value_is_compared_as_its_column_is_declared(kind: str, asked: str, written: object, theirs: bool) -> None:
    assert Subject("who", asked, types=frozenset({kind})).is_value(written) is theirs


def test_a_record_with_fields_that_the_table_has_not_is_searched_where_it_lacks_the_column() -> None:
    subject = ANNA.of_table(TableSchema("people", (Column("who"), Column("note"))))
    assert subject.in_record(b'{"name": "Anna"}', None, ())
    assert not subject.in_record(b'{"note": "met Anna"}', None, ())
    assert not subject.in_record(b'{"who": "Bert", "friend": "Anna"}', None, ())


def test_a_line_that_is_no_json_and_names_the_subject_is_left_out() -> None:
    left = ANNA.taken_out(b'{"_sequence":"1","who":"Bert"}\n"Anna\n\n{"who": Anna\n')
    assert b"Anna" not in left
    assert left.split(b"\n")[0] == b'{"_sequence":"1","who":"Bert"}'
    assert left.count(b"_filtered") == 2


def test_json_nested_beyond_all_bounds_is_searched() -> None:
    deep = b'{"x":' + b"[" * 100_000 + b'"Anna"'
    assert ANNA.in_record(deep, None, ())


def test_landing_lines_keep_their_sequences() -> None:
    unparsed = {"_sequence": "3", "_unparsed": base64.b64encode(b'{"who": "Anna", brok').decode()}
    lines = [{"_sequence": "1", "who": "Anna"}, {"_sequence": "2", "who": "Bert"}, unparsed]
    data = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"
    left = [json.loads(line) for line in ANNA.taken_out(data).splitlines()]
    assert left == [
        {"_sequence": "1", "_filtered": True},
        {"_sequence": "2", "who": "Bert"},
        {"_sequence": "3", "_filtered": True},
    ]


@pytest.mark.parametrize(
    ("raw", "columns", "theirs"),
    [
        (b"Anna,1", ["who", "x"], True),
        (b"Bert,Anna", ["who", "x"], False),
        (b"1,Anna,too many", ["who", "x"], True),
        (b"1,Annabel,too many", ["who", "x"], False),
        (b'{"who": "Anna"}', [], True),
        (b'{"who": "Bert", "friend": "Anna"}', [], False),
        (b'{"who": "Anna", "who": "Bert"}', [], True),
        (b'{"who": "Anna", brok', [], True),
        (b'{"who": "Bert", brok', [], False),
        (b'"Anna,1', ["who", "x"], True),
        (b'"Anna",1', ["who", "x"], True),
        (b'"Anna"" B",1', ["who", "x"], False),
        (b"Anna,\xe9", ["who", "x"], True),
    ],
)
def test_a_quarantined_record_is_read_where_it_can_be_and_searched_where_not(
    raw: bytes, columns: list[str], theirs: bool
) -> None:
    assert ANNA.in_record(raw, CsvFormat(), columns) is theirs


def test_a_captured_row_is_of_the_subject_also_where_its_value_is_masked() -> None:
    subject = Subject("id", "7").masked(lambda value: f"mask of {value!r}")
    assert subject.masks == {"mask of '7'", "mask of 7", "mask of 7.0"}
    assert subject.masks == Subject("id", "7.0").masked(lambda value: f"mask of {value!r}").masks - {"mask of '7.0'"}
    assert subject.is_of({"features": {}, "keys": {"id": "mask of 7"}})
    assert subject.is_of({"features": {"id": "mask of '7'"}, "keys": {}})
    assert not subject.is_of({"features": {"id": "mask of 8", "other": "mask of 7"}, "keys": {"id": ["mask of 7"]}})
    assert not subject.is_of({"id": "mask of 7"})
