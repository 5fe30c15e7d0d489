"""CSV records from the bytes alone: the same whatever the chunks, and as many as were written."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlplatform.core.loads.arrived import Arrived
from mlplatform.core.loads.csv_records import csv_segments
from mlplatform.core.loads.plan import CsvFormat
from mlplatform.errors import DataError

FIELDS = st.lists(st.text(alphabet='ab",\n\r é', max_size=6), min_size=2, max_size=4)
RAW = st.binary(max_size=200).map(lambda data: bytes(b'a",\n\r'[byte % 5] for byte in data))


def chunked(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def records(data: bytes, size: int = 1 << 20, format: CsvFormat | None = None) -> list[bytes]:  # noqa: A002
    found = csv_segments(chunked(data, size), format or CsvFormat(), single_column=False)
    return [s.data[a:b] for s in found for a, b in zip(s.starts.tolist(), s.ends.tolist(), strict=True)]


def arrived(data: bytes, size: int, format: CsvFormat) -> int:  # noqa: A002
    counter = Arrived(format)
    for chunk in chunked(data, size):
        counter.feed(chunk)
    return counter.finish()


@settings(deadline=None)
@given(st.lists(FIELDS, max_size=8), st.integers(1, 40), st.booleans())
def test_every_record_that_was_written_is_found_again(rows: list[list[str]], size: int, crlf: bool) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n" if crlf else "\n", quoting=csv.QUOTE_ALL).writerows(rows)
    data = out.getvalue().encode()
    found = records(data, size)
    assert [next(csv.reader(io.StringIO(r.decode(), newline=""))) for r in found] == rows
    assert arrived(data, size, CsvFormat(header=False)) == len(rows)


@settings(deadline=None)
@given(RAW, st.integers(1, 40))
def test_counts_do_not_depend_on_the_chunks_and_agree_with_the_cuts(data: bytes, size: int) -> None:
    dialect = CsvFormat(header=False)
    try:
        whole = records(data)
    except DataError:
        with pytest.raises(DataError):
            records(data, size)
        with pytest.raises(DataError):
            arrived(data, size, dialect)
        return
    assert records(data, size) == whole
    assert arrived(data, size, dialect) == len(whole)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"a,b\n\n1,2", [b"a,b", b"1,2"]),
        (b'a,"x\ny"\n1,2\n', [b'a,"x\ny"', b"1,2"]),
        (b'5" pipe,2\n3,4\n', [b'5" pipe,2', b"3,4"]),
        (b'"a""b",2\r\n3,4\r\n', [b'"a""b",2', b"3,4"]),
        (b'"x"z",1\n2,3\n', [b'"x"z",1', b"2,3"]),
        (b"", []),
    ],
)
def test_golden_records(data: bytes, found: list[bytes]) -> None:
    assert records(data) == found


def test_an_escape_of_its_own_is_followed() -> None:
    dialect = CsvFormat(escape="\\")
    assert records(b'"a\\"\n",1\n2,3\n', format=dialect) == [b'"a\\"\n",1', b"2,3"]


def test_a_quote_that_never_closes_is_named_with_its_byte() -> None:
    with pytest.raises(DataError, match="byte 4"):
        records(b'a,b\n"c,d\ne,f\n')
