"""What a receipt and the quarantine say to do about data that does not fit."""

from __future__ import annotations

import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform_tests.conformance.warehouses import shared_ducklake
from mlplatform_tests.stations.landed_house import HEADER, House, house, spec

__all__ = ["house", "shared_ducklake"]

REPLAY = "mlplatform quarantine replay SYSTEM/ticks_table"

SOURCES = [
    {"prefix": "base/", "suffix": ".csv"},
    {"prefix": "base/", "suffix": ".jsonl", "format": {"type": "jsonl"}},
    {"prefix": "base/", "suffix": ".parquet", "format": {"type": "parquet"}},
]


def parquet(**columns: list[object]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "step"),
    [
        ("empty.csv", b"", "Upload a whole one under the same key."),
        ("empty.jsonl", b"", "Upload a whole one under the same key."),
        ("header.csv", b"ticker,prize\nA,1\n", REPLAY),
        ("quote.csv", HEADER + b'"A,1\nB,2\n', "Close the quote and upload it under the same key"),
        ("utf16.csv", (HEADER + b"A,1\n").decode().encode("utf-16"), "Save it as UTF-8"),
        ("latin.csv", b"ticker,pric\xe9\nA,1\n", "Save it as UTF-8"),
        ("mixed.csv", HEADER + b"A,1\rB,2\n\r", REPLAY),
        ("half.csv.gz", gzip.compress((HEADER + b"A,1\n") * 9, mtime=0)[:-9], "Upload a whole one under the same key."),
        ("half.parquet", parquet(ticker=["A"], price=[1.0])[:-20], "Upload a whole one under the same key."),
        ("other.parquet", parquet(ticker=["A"], weight=[1]), REPLAY),
    ],
)
def test_an_object_quarantined_whole_says_what_to_do(house: House, name: str, data: bytes, step: str) -> None:
    house.store.put(f"base/{name}", data)
    table = spec(sources=SOURCES)
    (receipt,) = house.ingest(table).run()
    assert receipt.outcome == "unparseable"
    (record,) = house.quarantine(table).list(limit=2)
    assert record.reason == receipt.reason
    assert step in receipt.reason.partition(". ")[2], receipt.reason


def test_an_object_refused_as_a_copy_says_that_nothing_is_to_be_done(house: House) -> None:
    house.store.put("base/a.csv", HEADER + b"A,1\n")
    house.store.put("base/b.csv", HEADER + b"A,1\n")
    first, second = house.ingest().run()
    assert (first.reason, second.outcome) == ("", "refused")
    assert second.reason.endswith("which was loaded before. Nothing is to be done.")
