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
        Column("seen", "timestamp", latest="2026-11-21 10:00:00"),
        Column("paid", "decimal(6,2)"),
        Column("score", "double", minimum=0, maximum=10),
        Column("port", domain=("C", "Q")),
        Column("city", longest_bytes=20, null_byte=False),
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
    [
        *({"age": "Ann"}, {"age": ["Ann"]}, {"day": "Ann"}, {"city": ["Ann"]}, {"member": "Ann"}, {"age": {"Ann": 1}}),
        *({"day": text} for text in ("+44 20 7946 0958", "123-45-6789", "1990-02-30", "1990-01-01 Ann", "19900101")),
        *({"seen": text} for text in ("123-45-6789", "020 7946 0958", "10:00", "2026-11-21 25:00", "+44:20")),
        *({"age": v} for v in ("123-45-6789", "+442079460958", "1_000", 1.5, True, 2**63, "٤٤")),
        *({"paid": v} for v in ("123-45-6789", 123456.7, "nan", "12345678901234567890", True)),
        *({"score": v} for v in ("1e999", "nan", "+4420", "infinity")),
    ],
)
def test_what_does_not_fit_its_column_may_be_anybodys(record: dict[str, object]) -> None:
    assert json.loads(shown(json.dumps(record).encode())) == dict.fromkeys(record, "•••")


@pytest.mark.parametrize(
    "record",
    [
        {"score": 11},
        {"score": -0.5},
        {"port": "Ann"},
        {"seen": "2026-11-21T10:00:01Z"},
        {"city": "A\0nn"},
        {"city": "Ann" * 7},
    ],
)
def test_what_breaks_a_rule_of_its_column_is_masked(record: dict[str, object]) -> None:
    assert json.loads(shown(json.dumps(record).encode())) == dict.fromkeys(record, "•••")


@pytest.mark.parametrize(
    "record",
    [
        {"day": "1990-02-28", "seen": "2026-11-21T10:59:59.5+01:00", "age": -5, "paid": "-12.50", "score": 1e0},
        {"seen": "2026-11-21 10:00:00", "age": "5.0", "paid": 9999, "score": "2.5E-1", "port": "Q", "member": 0},
    ],
)
def test_what_is_of_its_column_and_keeps_its_rules_is_shown(record: dict[str, object]) -> None:
    assert json.loads(shown(json.dumps(record).encode())) == record


@pytest.mark.parametrize("slipped", [{"age": "Smith"}, {"port": "Smith"}, {"salary": "Smith"}, {"Smith": 1}])
def test_free_text_is_masked_where_one_value_stands_in_anothers_place(slipped: dict[str, object]) -> None:
    found = json.loads(shown(json.dumps({**slipped, "city": "Ann", "more": {"Ann": 1}, "day": "1990-02-28"}).encode()))
    assert (found["city"], found["more"], found["day"]) == ("•••", "•••", "1990-02-28")
    assert json.loads(shown(json.dumps({"score": 11, "city": "Lund"}).encode())) == {"score": "•••", "city": "Lund"}


def test_a_field_that_the_table_has_not_is_masked_with_its_name() -> None:
    assert json.loads(shown(b'{"Ann":"Smith","age":5}')) == {"•••": "•••", "age": 5}


@pytest.mark.parametrize(
    "raw", [b"Ann", b'"Ann"', b"\xff", b'{"_sequence":"1","_unparsed":"QW5u","_error":"Ann"}', b"[" * 5000]
)
def test_what_has_no_fields_is_masked_whole(raw: bytes) -> None:
    assert shown(raw) == "•••"


def test_csv_is_shown_by_its_columns_with_the_masks_of_json() -> None:
    found = shown(b"Ann,5.5,400,2199-01-01,Q", "name", "salary", "age", "day", "port")
    assert found == f"{MASKING.hash('Ann')},{MASKING.hash(5.5)},400,2199-01-01,Q"
    assert shown(b",5,4.0", "name", "salary", "age").startswith(f",{MASKING.hash(5.0)}")


@pytest.mark.parametrize("text", ["true", "False", "0", "1", "t"])
def test_a_boolean_of_csv_is_shown_as_it_was_written(text: str) -> None:
    assert shown(f"{text},5".encode(), "member", "age") == f"{text},5"


def test_free_text_of_csv_is_never_shown_since_its_fields_are_told_by_their_places() -> None:
    assert shown(b'5,Ann,"{""a"":1}",C,', "age", "city", "more", "port", "day") == "5,•••,•••,C,"


def test_csv_whose_fields_slipped_shows_none_of_a_name() -> None:
    assert shown(b"1, Smith,Lund,Ann", "salary", "age", "city", "port") == f"{MASKING.hash(1.0)},•••,•••,•••"
    assert shown(b"Ann, Smith,5", "name", "salary") == "•••"
    assert shown(b'"Ann"x,5', "name", "salary") == "•••"
    assert shown(b"Ann;5", "name", format_=CsvFormat(quote="", escape="")) == MASKING.hash("Ann;5")
    assert shown(b'Ann,"5', "name", "age", format_=CsvFormat(quote="", escape="")) == f"{MASKING.hash('Ann')},•••"
