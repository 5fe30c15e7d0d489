"""Quarantined records as they are shown: personal fields masked, and whatever may be one."""

from __future__ import annotations

import json

import pytest

from mlplatform.core.capture.masking import Masking
from mlplatform.core.loads.masked_record import masked_record
from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.tables.schema import Column, TableSchema

SCHEMA = TableSchema(
    "people",
    (
        Column("name", personal=True),
        Column("salary", "double", personal=True),
        Column("age", "bigint"),
        Column("day", "date"),
        Column("city"),
        Column("more", "json"),
        Column("member", "boolean"),
    ),
)
MASKING = Masking(key=b"key")


def shown(raw: bytes, *columns: str, masking: Masking = MASKING, format_: CsvFormat | None = None) -> str:
    csv = format_ or (CsvFormat() if columns else None)
    return masked_record(raw, csv, columns, SCHEMA, masking.shown).decode()


def test_personal_fields_of_json_are_masked_as_capture_masks_them_and_the_others_stay() -> None:
    record = {
        "name": "Ann",
        "salary": 5.0,
        "age": 400,
        "day": "2199-01-01",
        "city": "Lund",
        "more": {"a": 1},
        "member": True,
    }
    found = json.loads(shown(json.dumps(record).encode()))
    masked = MASKING.hash("Ann"), MASKING.hash(5.0)
    assert (found.pop("name"), found.pop("salary")) == masked
    assert found == {k: v for k, v in record.items() if k not in ("name", "salary")}


def test_without_a_key_dots_stand_for_values_and_a_missing_value_stays_missing() -> None:
    assert json.loads(shown(b'{"name":"Ann","salary":null}', masking=Masking())) == {"name": "•••", "salary": None}


@pytest.mark.parametrize(
    "record",
    [{"age": "Ann"}, {"age": ["Ann"]}, {"day": "Ann"}, {"city": ["Ann"]}, {"member": "Ann"}, {"age": {"Ann": 1}}],
)
def test_what_does_not_fit_its_column_may_be_anybodys(record: dict[str, object]) -> None:
    assert json.loads(shown(json.dumps(record).encode())) == dict.fromkeys(record, "•••")


def test_a_field_that_the_table_has_not_is_masked_with_its_name() -> None:
    assert json.loads(shown(b'{"Ann":"Smith","city":"Lund"}')) == {"•••": "•••", "city": "Lund"}


@pytest.mark.parametrize(
    "raw", [b"Ann", b'"Ann"', b"\xff", b'{"_sequence":"1","_unparsed":"QW5u","_error":"Ann"}', b"[" * 5000]
)
def test_what_has_no_fields_is_masked_whole(raw: bytes) -> None:
    assert shown(raw) == "•••"


def test_csv_is_shown_by_its_columns_with_the_masks_of_json() -> None:
    found = shown(b"Ann,5.5,400,2199-01-01,Lund", "name", "salary", "age", "day", "city")
    assert found == f"{MASKING.hash('Ann')},{MASKING.hash(5.5)},400,2199-01-01,Lund"
    assert shown(b",5,4.0", "name", "salary", "age").startswith(f",{MASKING.hash(5.0)}")


@pytest.mark.parametrize("text", ["true", "False", "0", "1", "t"])
def test_a_boolean_of_csv_is_shown_as_it_was_written(text: str) -> None:
    assert shown(f"{text},5".encode(), "member", "age") == f"{text},5"


def test_csv_whose_fields_slipped_shows_none_of_a_name() -> None:
    assert shown(b"1, Smith,Lund", "salary", "age", "city") == f"{MASKING.hash(1.0)},•••,Lund"
    assert shown(b"Ann, Smith,5", "name", "salary") == "•••"
    assert shown(b'"Ann"x,5', "name", "salary") == "•••"
    assert shown(b"Ann;5", "name", format_=CsvFormat(quote="")) == "•••"
