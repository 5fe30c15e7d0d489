"""Whose a record is, in every format, and landing lines without somebody's."""

from __future__ import annotations

import base64
import json

import pytest

from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.loads.subject import Subject

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
    ("text", "format_", "found"),
    [
        ("who,x\nAnna,1\nBert,2\nAnna,3\n", CsvFormat(), 2),
        ('x;who\n"1;2";"Anna"\n3;Bert\n', CsvFormat(delimiter=";"), 1),
        ("Anna,1\nBert,2\n", CsvFormat(header=False), 1),
        ("x,y\nAnna,1\n", CsvFormat(), 0),
    ],
)
def test_csv_is_read_as_declared(text: str, format_: CsvFormat, found: int) -> None:
    assert ANNA.in_csv(text, format_, ["who", "x"]) == found


def test_landing_lines_keep_their_sequences() -> None:
    unparsed = {"_sequence": "3", "_unparsed": base64.b64encode(b'{"who": "Anna", brok').decode()}
    lines = [{"_sequence": "1", "who": "Anna"}, {"_sequence": "2", "who": "Bert"}, unparsed]
    data = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"
    assert ANNA.in_json_lines(data) == 2
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
        (b'{"who": "Anna", brok', [], True),
        (b'{"who": "Bert", brok', [], False),
    ],
)
def test_a_quarantined_record_is_read_where_it_can_be_and_searched_where_not(
    raw: bytes, columns: list[str], theirs: bool
) -> None:
    assert ANNA.in_record(raw, CsvFormat(), columns) is theirs


def test_a_captured_row_is_of_the_subject_also_where_its_value_is_masked() -> None:
    subject = Subject("id", "7").masked(lambda value: f"mask of {value!r}")
    assert subject.masks == {"mask of '7'", "mask of 7", "mask of 7.0"}
    assert subject.is_of({"features": {}, "keys": {"id": "mask of 7"}})
    assert subject.is_of({"features": {"id": "mask of '7'"}, "keys": {}})
    assert not subject.is_of({"features": {"id": "mask of 8", "other": "mask of 7"}, "keys": {"id": ["mask of 7"]}})
    assert not subject.is_of({"id": "mask of 7"})
