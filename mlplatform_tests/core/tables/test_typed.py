"""A text is the value that loading it makes: our reading of it is held against the engine's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlplatform.core.loads.fits import type_check, typed_value, value_checks
from mlplatform.core.tables.schema import Column
from mlplatform.core.tables.typed import text_of, value_of

NUMBERS = [
    "1",
    "4711",
    "+4711",
    "-0",
    "007",
    "1.",
    "1.0",
    "1.50",
    ".5",
    "1e3",
    "1E+2",
    "0x10",
    "  12  ",
    "\t3",
    "1,000",
]
NUMBERS += [
    "nan",
    "inf",
    "9223372036854775807",
    "9223372036854775808",
    "12345678.994999",
    "1e-7",
    "--1",
    "",
    "x",
    "1.005",
]
TRUTHS = ["true", "TRUE", "t", "f", "F", "yes", "No", "y", "n", "1", "0", "on", "2", " true", "01"]
TIMES = ["2020-01-02", "2020-1-2", "2020/01/02", "2020-01-02 03:04:05", "2020-01-02T03:04:05Z", "2020-01-02 3:4:5"]
TIMES += ["2020-01-02 03:04:05+02", "2020-01-02 03:04:05-05:30", "2020-01-02 03:04", "2020-01-02 03:04:05.123456789"]
TIMES += ["2020-01-02 03:04:05.1", "20200102", "02.01.2020", "2020-13-01", " 2020-01-02 ", "2020-01-02 03:04:05 UTC"]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("bigint", NUMBERS),
        ("double", NUMBERS),
        ("decimal(12,2)", NUMBERS),
        ("boolean", TRUTHS),
        ("date", TIMES),
        ("timestamp", TIMES),
        ("varchar", [*NUMBERS, *TIMES]),
    ],
)
def test_what_loads_is_read_as_what_it_loads_as(kind: str, texts: list[str]) -> None:
    import duckdb

    column = Column("c", kind)
    typed = type_check(column, "t")
    checks = [*([typed] if typed else []), *value_checks(column, typed_value(column, "t"), "t")]
    fits = " AND ".join(check.sql for check in checks) or "true"
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        loaded = {
            text: engine.execute(f"SELECT {typed_value(column, 't')}, {fits} FROM (SELECT ? AS t)", [text]).fetchone()
            for text in texts
        }
    expected = {text: row[0] for text, row in loaded.items() if row is not None and row[1]}
    found = {text: value_of(kind, text) for text in expected}
    assert len(expected) >= 4
    assert {t: v.replace(tzinfo=None) if isinstance(v, datetime) else v for t, v in found.items()} == expected


@pytest.mark.parametrize(
    ("kind", "text"), [("bigint", "1.5"), ("double", "nan"), ("decimal(4,2)", "nan"), ("date", "x")]
)
def test_what_is_no_value_of_the_type_is_none(kind: str, text: str) -> None:
    assert value_of(kind, text) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (4711, "4711"),
        (0.1, "0.1"),
        (b"x", "x"),
        (datetime(2020, 1, 2, tzinfo=UTC), "2020-01-02 00:00:00+00:00"),
    ],
)
def test_the_text_of_a_value_is_what_loading_sees(value: object, text: str) -> None:
    assert text_of(value) == text
