"""The contract of the warehouse port: what does not fit is quarantined with its bytes and its reason, and counted."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.core.loads.landing import landing_line
from mlplatform.core.loads.plan import CsvFormat
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case, case, counts, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

GOOD = b"G,,1,1,2020-01-01\n"


BAD_RECORDS = [
    (b"A,,abc,,2020-01-01", "column 'price': expected double, found 'abc'"),
    (b"A,,,,2020-01-01", "column 'price': expected a value, found none"),
    (b"A,,-1,,2020-01-01", "column 'price': expected from 0, found '-1'"),
    (b"A,NaN,1,,2020-01-01", "column 'change': expected a finite number, found 'NaN'"),
    (b"A,inf,1,,2020-01-01", "column 'change': expected a finite number, found 'inf'"),
    (b"A,,1,1.5,2020-01-01", "column 'volume': expected bigint, found '1.5'"),
    (b"A,,1,9223372036854775808,2020-01-01", "column 'volume': expected bigint, found '9223372036854775808'"),
    (b"A,,1,,2020-13-01", "column 'day': expected date, found '2020-13-01'"),
    (b"A,,1,,2020-01-01,x", "expected 5 fields (ticker, change, price, volume, day), found 6"),
    (b'A,,1,,2020-01-01,"' + b"x," * 100_000 + b'"', "expected 5 fields (ticker, change, price, volume, day), found 6"),
    (b"A,,1", "expected 5 fields (ticker, change, price, volume, day), found 3"),
    (b"\xff\xfe,,1,,2020-01-01", "not UTF-8"),
]


def test_a_csv_record_that_does_not_fit_is_quarantined_alone(case: Case) -> None:
    lines = [line for number, (bad, _) in enumerate(BAD_RECORDS) for line in (b"G%d,,1,1,2020-01-01" % number, bad)]
    receipt = case.load("in/a.csv", HEADER + b"\n".join(lines) + b"\n")
    assert counts(receipt) == (2 * len(BAD_RECORDS), len(BAD_RECORDS), len(BAD_RECORDS), 0, 0)
    found = case.reasons(receipt)
    assert [(offset, raw) for offset, _, raw in found] == [
        (str(2 * number + 2), bad) for number, (bad, _) in enumerate(BAD_RECORDS)
    ]
    for (_, why, _), (_, reason) in zip(found, BAD_RECORDS, strict=True):
        assert reason in why
    loaded = case.rows("SELECT ticker FROM prices ORDER BY length(ticker), ticker")
    assert loaded == [(f"G{number}",) for number in range(len(BAD_RECORDS))]


def test_every_fault_of_a_record_is_named(case: Case) -> None:
    receipt = case.load("in/a.csv", HEADER + b"A,x,y,,2020-01-01\n")
    ((_, why, _),) = case.reasons(receipt)
    assert "column 'change': expected double, found 'x'" in why
    assert "column 'price': expected double, found 'y'" in why


def test_whole_numbers_written_with_a_point_are_whole(case: Case) -> None:
    receipt = case.load("in/a.csv", HEADER + b"A,,1,7.0,2020-01-01\n")
    assert counts(receipt) == (1, 1, 0, 0, 0)
    assert case.rows("SELECT volume FROM prices") == [(7,)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"ticker,change,prize,volume,day\nA,,1,,2020-01-01\n", "unknown column 'prize' (near: 'price')"),
        (b"ticker,change,price,volume\nA,,1,\n", "no column 'day'"),
        (HEADER + GOOD + b'"A,,1,,2020-01-01\nB,,1,,2020-01-01\n', "never closes"),
        ((HEADER + GOOD).decode().encode("utf-16"), "UTF-16"),
    ],
    ids=["empty", "unknown column", "missing column", "open quote", "encoding"],
)
def test_a_csv_object_that_cannot_be_read_is_quarantined_whole(case: Case, data: bytes, reason: str) -> None:
    receipt = case.load("in/a.csv", data)
    assert (receipt.outcome, counts(receipt)) == ("unparseable", (1, 0, 1, 0, 0))
    assert reason in receipt.reason
    assert "in/a.csv" in receipt.reason
    ((offset, why, raw),) = case.reasons(receipt)
    assert (offset, raw) == ("", data)
    assert reason in why
    assert case.count() == 0


def test_a_header_alone_is_an_object_without_records(case: Case) -> None:
    receipt = case.load("in/a.csv", HEADER)
    assert (receipt.outcome, counts(receipt)) == ("loaded", (0, 0, 0, 0, 0))


def test_columns_may_come_in_another_order_and_one_that_may_be_null_may_be_missing(case: Case) -> None:
    receipt = case.load("in/a.csv", b"day,price,ticker\r\n2020-01-01,1.5,A\r\n")
    assert counts(receipt) == (1, 1, 0, 0, 0)
    assert case.rows("SELECT ticker, price, change FROM prices") == [("A", 1.5, None)]


def test_quoted_fields_keep_delimiters_line_ends_and_quotes(case: Case) -> None:
    record = b'"a ""b"", \r\n c",,1,,2020-01-01\n'
    receipt = case.load("in/a.csv", HEADER + record + b'"x\ny",bad,1,,2020-01-01\n')
    assert counts(receipt) == (2, 1, 1, 0, 0)
    assert case.rows("SELECT ticker FROM prices") == [('a "b", \r\n c',)]
    assert case.reasons(receipt)[0][2] == b'"x\ny",bad,1,,2020-01-01'


def test_null_and_the_empty_text_are_two_things(case: Case) -> None:
    schema = TableSchema("texts", (Column("a"), Column("b")))
    case.warehouse.create(schema)
    case.load("t/a.csv", b'a,b\n"",x\n,y\n', schema=schema, shard="objects/t/")
    assert case.rows("SELECT a, b FROM texts ORDER BY b") == [("", "x"), (None, "y")]


def test_a_declared_dialect_is_used(case: Case) -> None:
    dialect = CsvFormat(delimiter=";", quote="'", escape="'", header=False, null="NULL")
    receipt = case.load("in/a.csv", b"'A;B';NULL;1;2;2020-01-01\n", format=dialect)
    assert counts(receipt) == (1, 1, 0, 0, 0)
    assert case.rows("SELECT ticker, change, volume FROM prices") == [("A;B", None, 2)]


def test_values_of_every_type_come_back_as_they_went_in(case: Case) -> None:
    schema = TableSchema(
        "types",
        (
            Column("i", "bigint"),
            Column("d", "double"),
            Column("b", "boolean"),
            Column("t", "timestamp"),
            Column("n", "decimal(20,4)"),
            Column("s"),
            Column("j", "json"),
        ),
    )
    case.warehouse.create(schema)
    data = b'i,d,b,t,n,s,j\n-9223372036854775808,1e300,true,2020-01-01T10:00:00+02:00,1234567890123456.7891,\xf0\x9f\x98\x80,"{""a"": 1}"\n'
    assert counts(case.load("t/a.csv", data, schema=schema, shard="objects/t/")) == (1, 1, 0, 0, 0)
    line = '{"i":-9223372036854775808,"d":1e300,"b":true,"t":"2020-01-01T08:00:00Z","n":"1234567890123456.7891","s":"😀","j":{"a": 1}}\n'
    assert counts(case.load("t/b.jsonl", line.encode(), schema=schema, shard="objects/t/")) == (1, 1, 0, 0, 0)
    sql = "SELECT i, d, b, CAST(t AS varchar) AS t, CAST(n AS varchar) AS n, s, CAST(j AS varchar) AS j FROM types"
    rows = case.rows(sql)
    assert [row[:6] for row in rows] == [
        (-9223372036854775808, 1e300, True, "2020-01-01 08:00:00", "1234567890123456.7891", "😀")
    ] * 2
    assert {str(row[6]).replace(" ", "") for row in rows} == {'{"a":1}'}


def test_an_offset_is_heeded_and_a_time_without_one_is_utc(case: Case) -> None:
    utc = {
        "2020-01-01T10:00:00+02:00": "2020-01-01 08:00:00",
        "2020-01-01 10:00:00-02": "2020-01-01 12:00:00",
        "2020-01-01T10:00:00Z": "2020-01-01 10:00:00",
        "2020-01-01 10:00:00": "2020-01-01 10:00:00",
        "2020-01-01T10:00:00.25+02:00": "2020-01-01 08:00:00.25",
        "2020-01-01": "2020-01-01 00:00:00",
    }
    schema = TableSchema("times", (Column("t", "timestamp"), Column("s")))
    case.warehouse.create(schema)
    case.load("t/a.csv", "".join(["t,s\n", *(f"{t},{t}\n" for t in utc)]).encode(), schema=schema, shard="objects/t/")
    lines = "\n".join(json.dumps({"t": text, "s": text}) for text in utc)
    case.load("t/a.jsonl", lines.encode(), schema=schema, shard="objects/t/")
    found = case.rows("SELECT s, CAST(t AS varchar) AS t FROM times")
    assert sorted(found) == sorted([*utc.items()] * 2)


def test_a_decimal_that_json_would_round_is_quarantined(case: Case) -> None:
    schema = TableSchema("amounts", (Column("n", "decimal(20,4)"),))
    case.warehouse.create(schema)
    lines = b'{"n":1234567890123456.7891}\n{"n":"1234567890123456.7891"}\n{"n":12.5}\n{"n":7}\n'
    receipt = case.load("t/a.jsonl", lines, schema=schema, shard="objects/t/")
    assert counts(receipt) == (4, 3, 1, 0, 0)
    assert [raw for _, _, raw in case.reasons(receipt)] == [b'{"n":1234567890123456.7891}']


def test_a_domain_is_the_only_values_accepted(case: Case) -> None:
    schema = TableSchema("sectors", (Column("sector", domain=("Energy", "It's")),))
    case.warehouse.create(schema)
    receipt = case.load("t/a.csv", b"sector\nEnergy\nIt's\nMoney\n", schema=schema, shard="objects/t/")
    assert counts(receipt) == (3, 2, 1, 0, 0)
    assert case.reasons(receipt) == [("3", "column 'sector': expected one of Energy, It's, found 'Money'", b"Money")]


def test_delivered_lines_that_do_not_fit_keep_their_sequence(case: Case) -> None:
    lines = [
        landing_line("01", b'{"ticker":"A","price":1,"day":"2020-01-01"}'),
        landing_line("02", b"not json"),
        landing_line("03", b'{"ticker":"A","price":1,"day":"2020-01-01","extra":1}'),
        landing_line("04", b'{"ticker":"A","price":{"x":1},"day":"2020-01-02"}'),
        landing_line("05", b'{"ticker":["A"],"price":1,"day":"2020-01-02"}'),
        landing_line("06", b'{"price":1,"day":"2020-01-02"}'),
    ]
    receipt = case.load("s/1.jsonl", b"\n".join(lines), shard="stream/s/0", upto="06")
    assert counts(receipt) == (6, 1, 5, 0, 0)
    found = {offset: why for offset, why, _ in case.reasons(receipt)}
    assert "no JSON" in found["02"]
    assert "unknown column 'extra'" in found["03"]
    assert "column 'price': expected double" in found["04"]
    assert "column 'ticker': expected varchar" in found["05"]
    assert "column 'ticker': expected a value, found none" in found["06"]
    assert [raw for _, _, raw in case.reasons(receipt)] == lines[1:]


def test_a_json_record_that_names_a_field_twice_is_quarantined(case: Case) -> None:
    good = b'{"ticker":"A","price":1,"day":"2020-01-01"}'
    twice = b'{"ticker":"B","price":1,"price":2,"day":"2020-01-01"}'
    receipt = case.load("in/a.jsonl", b"\n".join([good, twice]))
    assert counts(receipt) == (2, 1, 1, 0, 0)
    assert case.reasons(receipt) == [("2", "field 'price' stands 2 times", twice)]
    assert case.rows("SELECT ticker FROM prices") == [("A",)]


def test_an_empty_json_object_is_a_record_of_nulls(case: Case) -> None:
    schema = TableSchema("loose", (Column("a"), Column("b", "bigint")))
    case.warehouse.create(schema)
    assert counts(case.load("l/a.jsonl", b"{}\n", schema=schema, shard="objects/l/")) == (1, 1, 0, 0, 0)


def test_lines_that_are_no_json_objects_are_quarantined_alone(case: Case) -> None:
    good = b'{"ticker":"A","price":1,"day":"2020-01-01"}'
    bad = [b'{"ticker":"A"', b"[1, 2]", b'"text"', b"nope", b'{"ticker":"\xff","price":1,"day":"2020-01-01"}']
    receipt = case.load("in/a.jsonl", b"\n".join([good, b"", *bad, b"  "]))
    assert counts(receipt) == (6, 1, 5, 0, 0)
    assert [raw for _, _, raw in case.reasons(receipt)] == bad


def test_parquet_rows_that_do_not_fit_are_quarantined_as_json(case: Case, tmp_path: Path) -> None:
    table = pa.table({"ticker": ["A", None, "B"], "price": [1.0, 1.0, float("nan")], "day": ["2020-01-01"] * 3})
    pq.write_table(table, tmp_path / "a.parquet")
    receipt = case.load("in/a.parquet", tmp_path / "a.parquet")
    assert counts(receipt) == (3, 1, 2, 0, 0)
    assert [(offset, why) for offset, why, _ in case.reasons(receipt)] == [
        ("2", "column 'ticker': expected a value, found none"),
        ("3", "column 'price': expected a finite number, found 'nan'"),
    ]


@pytest.mark.parametrize("name", ["half.parquet", "half.csv.gz", "text.csv.gz", "other.parquet"])
def test_files_that_are_not_whole_or_not_what_they_say_are_quarantined_whole(
    case: Case, tmp_path: Path, name: str
) -> None:
    pq.write_table(pa.table({"ticker": ["A"], "weight": [1]}), tmp_path / "a.parquet")
    parquet = (tmp_path / "a.parquet").read_bytes()
    zipped = gzip.compress(HEADER + GOOD * 100)
    data = {
        "half.parquet": parquet[:-20],
        "half.csv.gz": zipped[:-10],
        "text.csv.gz": HEADER,
        "other.parquet": parquet,
    }[name]
    receipt = case.load(f"in/{name}", data)
    assert (receipt.outcome, counts(receipt)) == ("unparseable", (1, 0, 1, 0, 0))
    assert case.count() == 0


def test_hostile_names_and_values_are_only_text(case: Case) -> None:
    schema = TableSchema("odd", (Column('a"b'), Column("select"), Column("c d;--")))
    case.warehouse.create(schema)
    data = b"""{"a\\"b":"'; DROP TABLE prices; --","select":"\\"","c d;--":"$1 ? %s"}\n"""
    assert counts(case.load("o/a'b.jsonl", data, schema=schema, shard="objects/o'/")) == (1, 1, 0, 0, 0)
    assert case.rows('SELECT "a""b", "select", "c d;--" FROM odd WHERE "select" = ?', '"') == [
        ("'; DROP TABLE prices; --", '"', "$1 ? %s")
    ]


@pytest.mark.parametrize("kind", ["date", "timestamp"])
@pytest.mark.parametrize("key", ["in/a.csv", "in/a.jsonl", "in/a.parquet"])
def test_an_event_time_that_has_not_come_is_quarantined(case: Case, kind: str, key: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    soon = (now + timedelta(hours=20)).strftime("%Y-%m-%d %H:%M:%S" if kind == "timestamp" else "%Y-%m-%d")
    ids, times = ["old", "soon", "far", "none"], ["1999-12-31", soon, "2999-12-31", None]
    data: bytes | Path
    if key.endswith("csv"):
        data = "".join(f"{i},{t or ''}\n" for i, t in zip(["id", *ids], ["at", *times], strict=True)).encode()
    elif key.endswith("jsonl"):
        data = b"".join(json.dumps({"id": i, "at": t}).encode() + b"\n" for i, t in zip(ids, times, strict=True))
    else:
        data = tmp_path / "made.parquet"
        pq.write_table(pa.table({"id": ids, "at": pa.array(times, pa.string())}), data)
    schema = TableSchema("events", (Column("id"), Column("at", kind)), event_time="at", future_s=86400)
    case.warehouse.create(schema)
    receipt = case.load(key, data, schema=schema)
    assert counts(receipt) == (4, 3, 1, 0, 0)
    ((_, why, _),) = case.reasons(receipt)
    assert re.search(
        r"column 'at': expected a time that has come \(up to 20.* UTC at this load\), found '2999-12-31", why
    )
    assert sorted(case.rows("SELECT id FROM events")) == [("none",), ("old",), ("soon",)]


def test_event_times_to_come_are_loaded_where_the_table_allows_them(case: Case) -> None:
    receipt = case.load("in/a.csv", HEADER + b"A,,1,,2999-12-31\n")
    assert (PRICES.future_s, counts(receipt)) == (None, (1, 1, 0, 0, 0))
