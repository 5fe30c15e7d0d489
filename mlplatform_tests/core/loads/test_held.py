"""Whether an object holds something of a subject: read as declared where it can be, searched where not."""

from __future__ import annotations

import gzip
import io

import pytest

from mlplatform.core.loads.held import Held, held
from mlplatform.core.loads.plan import CsvFormat, Format, JsonLinesFormat, ParquetFormat
from mlplatform.core.loads.subject import Subject
from mlplatform.core.tables.schema import Column, TableSchema

PEOPLE = TableSchema("people", (Column("who", nullable=False), Column("x")))
ANNA = Subject("who", "Anna").of_table(PEOPLE)
JOSE = Subject("who", "José").of_table(PEOPLE)


def parquet(**columns: list[object]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("data", "format_", "found"),
    [
        (b"who,x\nAnna,1\nBert,2\n", CsvFormat(), "yes"),
        (b"x,who\nAnna,Bert\n", CsvFormat(), "no"),
        (b"\xef\xbb\xbfwho,x\nAnna,1\n", CsvFormat(), "yes"),
        (b'x;who\r\n"1;2";"Anna"\r\n3;Bert\r\n', CsvFormat(delimiter=";"), "yes"),
        (b"Anna,1\nBert,2\n", CsvFormat(header=False), "yes"),
        (b"Bert,Anna\n", CsvFormat(header=False), "no"),
        (b'who,x\nBert,"1\nAnna,2\nEve,3\n', CsvFormat(), "yes"),
        (b'who,x\nBert,"1\nEve,3\n', CsvFormat(), "no"),
        (b"Bert,1\nAnna,2\n", CsvFormat(), "yes"),
        (b"x,y\nAnnabel,1\n", CsvFormat(), "no"),
        (b'{"who": "Bert"}\n{"who": "Anna"}\n', JsonLinesFormat(), "yes"),
        (b'{"who": "Bert"}\nAnna was here\n', JsonLinesFormat(), "yes"),
        (b'{"who": "\\u0041nna"}\n', JsonLinesFormat(), "yes"),
        (b'{"_sequence":"1","_unparsed":"QW5uYSBicm9r","_error":""}\n', JsonLinesFormat(), "yes"),
        (b'{"who": "Bert", "x": "Anna"}\n', JsonLinesFormat(), "no"),
        (parquet(who=["Anna"], x=["1"]), ParquetFormat(), "yes"),
        (parquet(who=["Bert"], x=["Anna"]), ParquetFormat(), "no"),
        (parquet(name=["Anna"]), ParquetFormat(), "yes"),
        (parquet(who=["Anna"]), None, "yes"),
        (parquet(who=["Bert"])[:-8], ParquetFormat(), "unknown"),
        (gzip.compress(b"who,x\nAnna,1\n", mtime=0), CsvFormat(), "yes"),
        (gzip.compress(b"who,x\nBert,1\n", mtime=0) + gzip.compress(b"Anna,2\n", mtime=0), CsvFormat(), "yes"),
        (gzip.compress(b"who,x\nBert,1\n", mtime=0)[:-4], CsvFormat(), "no"),
        (gzip.compress(b"who,x\nBert,1\n", mtime=0) + b"rest", CsvFormat(), "unknown"),
        (b"who,x\nAnna,1\n".decode().encode("utf-16"), CsvFormat(), "yes"),
        ('{"who": "Anna"}\n'.encode("utf-16"), JsonLinesFormat(), "yes"),
        (b"PK\x03\x04\0\0\xfe\xff", None, "unknown"),
        (b"a note on Anna\n", None, "yes"),
        (b"", CsvFormat(), "no"),
    ],
)
def test_an_object_is_read_as_declared_or_searched(data: bytes, format_: Format | None, found: Held) -> None:
    assert held(data, format_, PEOPLE, ANNA) == found


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_name_is_found_in_encodings_that_are_not_the_declared_one(encoding: str) -> None:
    assert held("note;José;1".encode(encoding), None, PEOPLE, JOSE) == "yes"


def test_a_number_is_found_in_an_object_however_it_is_written() -> None:
    table = TableSchema("ids", (Column("who", "bigint"), Column("x")))
    subject = Subject("who", "4711").of_table(table)
    assert held(b"who,x\n1,4711\n+04711.0,2\n", CsvFormat(), table, subject) == "yes"
    assert held(b"who,x\n1,4711\n47110,2\n", CsvFormat(), table, subject) == "no"
    assert held(b'{"who": 4711.0}', JsonLinesFormat(), table, subject) == "yes"
    minus = Subject("who", "-4711.0").of_table(table)
    assert minus.texts == ("4711",)
    assert held(b'{"who": 4711}\n{"who": " -4711"}', JsonLinesFormat(), table, minus) == "yes"
    assert held(b"who,x\n4711,1\n-4711,2\n", CsvFormat(), table, minus) == "yes"


@pytest.mark.parametrize(
    ("types", "value", "texts"),
    [
        ({"varchar"}, "Anna", ("Anna",)),
        ({"varchar"}, "Anna B", ()),
        ({"varchar", "bigint"}, "007", ("007", "7")),
        ({"bigint"}, "x7", ("x7",)),
        ({"double"}, "7", ()),
    ],
)
def test_texts_that_narrow_a_search_are_those_that_must_be_there(
    types: set[str], value: str, texts: tuple[str, ...]
) -> None:
    assert Subject("who", value, types=frozenset(types)).texts == texts
