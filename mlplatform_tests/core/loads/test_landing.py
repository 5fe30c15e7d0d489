"""Names and lines of landing objects."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlplatform.core.loads.landing import (
    LandingRange,
    claim_key,
    filtered_line,
    landing_key,
    landing_line,
    landing_position,
    lost_line,
    parse_landing_key,
    unparsed_line,
)

PREFIX = "prices/stream/"


def text(sequence: int, width: int = 20) -> str:
    return f"{sequence:0{width}d}"


def test_key_says_shard_and_range() -> None:
    key = landing_key(PREFIX, "shard-0001", text(41), text(123_456_789))
    assert key == "prices/stream/shard-0001/000000000000/0000/00000000000000000041-00000000000123456789.jsonl"
    assert parse_landing_key(PREFIX, key) == LandingRange("shard-0001", text(41), text(123_456_789))


def test_first_range_starts_at_nothing() -> None:
    key = landing_key(PREFIX, "s", "", text(5))
    assert key == "prices/stream/s/000000000000/0000/00000000000000000000-00000000000000000005.jsonl"
    assert parse_landing_key(PREFIX, key) == LandingRange("s", "", text(5))


@pytest.mark.parametrize(
    "key",
    [
        "prices/stream/sample.csv",
        "prices/stream/shard-0001/sample.jsonl",
        "prices/stream/shard-0001/000000000000/0001/00000000000000000000-00000000000000000005.jsonl",
        "prices/stream/shard-0001/000000000000/0000/00000000000000000005-00000000000000000005.jsonl",
        "prices/stream/shard-0001/000000000000/0000/00000000000000000000-00000000000000000005.csv",
        "prices/stream/shard-0001/000000000000/0000/00000000000000000000-5.jsonl",
        "prices/stream/a/b/000000000000/0000/00000000000000000000-00000000000000000005.jsonl",
        "other/shard-0001/000000000000/0000/00000000000000000000-00000000000000000005.jsonl",
        "prices/stream/shard-0001/000000000000/0000/00000000000000000000-00000000000000000٥.jsonl",
    ],
)
def test_what_is_no_landing_object(key: str) -> None:
    assert parse_landing_key(PREFIX, key) is None


@pytest.mark.parametrize(("last", "upto"), [("a", text(1)), ("", "x/y"), ("", ""), (text(1), "-5"), ("٥", text(9))])
def test_sequences_that_are_not_digits_have_no_key(last: str, upto: str) -> None:
    with pytest.raises(ValueError, match="are not digits"):
        landing_key(PREFIX, "s", last, upto)


ranges = st.integers(0, 10**18).flatmap(lambda last: st.tuples(st.just(last), st.integers(last + 1, 2 * 10**18)))


@settings(deadline=None)
@given(st.sampled_from([20, 56]), st.lists(ranges, min_size=2, max_size=2))
def test_keys_sort_like_their_starts_and_come_back(width: int, pair: list[tuple[int, int]]) -> None:
    a, b = sorted(pair)
    keys = [landing_key(PREFIX, "s", text(last, width) if last else "", text(upto, width)) for last, upto in (a, b)]
    assert sorted(keys) == keys
    for key, (last, upto) in zip(keys, (a, b), strict=True):
        found = parse_landing_key(PREFIX, key)
        assert found == LandingRange("s", text(last, width) if last else "", text(upto, width))
        at, behind = (
            landing_position(PREFIX, "s", text(last, width)),
            landing_position(PREFIX, "s", text(last + 1, width)),
        )
        assert at < key < behind
    assert all(key > landing_position(PREFIX, "s", "") for key in keys)


def test_claims_lie_outside_the_prefix() -> None:
    assert claim_key(PREFIX, "s", text(7)) == "_delivery/prices/stream/s/00000000000000000007"
    assert claim_key(PREFIX, "s", "") == "_delivery/prices/stream/s/0"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'{"a":1}', b'{"_sequence":"7","a":1}'),
        (b"{}", b'{"_sequence":"7"}'),
        (b"{ }", b'{"_sequence":"7"}'),
        (b' {"a": 1}\r\n', b'{"_sequence":"7","a": 1}'),
        (b'{\r\n  "a": "x\\ny",\n  "b": [1,\n2]\n}', b'{"_sequence":"7","a": "x\\ny",   "b": [1, 2] }'),
        ('{"a":"ü\u2028"}'.encode(), '{"_sequence":"7","a":"ü\u2028"}'.encode()),
        (b'{"n":123456789012345678901234567890}', b'{"_sequence":"7","n":123456789012345678901234567890}'),
    ],
)
def test_object_is_spliced(data: bytes, line: bytes) -> None:
    assert landing_line("7", data) == line


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "no JSON: "),
        (b"ticker,price", "no JSON: "),
        (b'{"a":1', "no JSON: "),
        (b'{"a":1}{"a":2}', "no JSON: "),
        (b'{"a":1}\n{"a":2}', "no JSON: "),
        (b'{"a":NaN}', "no JSON: "),
        (b'{"a":"\xff"}', "no JSON: 'utf-8' codec can't decode byte 0xff"),
        (b'{"a":"\\ud800"}', "no JSON: "),
        (b"[" * 100_000, "no JSON: "),
        (b"[1]", "expected a JSON object, found an array"),
        (b'"text"', "expected a JSON object, found a string"),
        (b"1", "expected a JSON object, found a number"),
        (b"true", "expected a JSON object, found a boolean"),
        (b"null", "expected a JSON object, found null"),
        (b'{"_sequence":"1"}', "field '_sequence' is reserved for delivery; rename it"),
        (b'{"\\u005ffiltered":true}', "field '_filtered' is reserved for delivery; rename it"),
    ],
)
def test_what_is_no_object_keeps_its_bytes_and_says_why(data: bytes, error: str) -> None:
    line = json.loads(landing_line("7", data))
    assert line["_error"].startswith(error)
    assert base64.b64decode(line["_unparsed"]) == data
    assert list(line) == ["_sequence", "_unparsed", "_error"]


@settings(deadline=None)
@given(
    st.dictionaries(st.text(max_size=5).filter(lambda k: not k.startswith("_")), st.integers() | st.text(), max_size=4)
)
def test_any_object_keeps_its_values_on_one_line(payload: dict[str, object]) -> None:
    for indent in (None, 2):
        data = json.dumps(payload, indent=indent, ensure_ascii=bool(indent)).encode()
        line = landing_line("42", data)
        assert b"\n" not in line
        assert json.loads(line) == {"_sequence": "42", **payload}


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_become_one_line_that_is_json(data: bytes) -> None:
    line = landing_line("1", data)
    assert b"\n" not in line
    assert json.loads(line)["_sequence"] == "1"


def test_other_lines() -> None:
    assert filtered_line("7") == b'{"_sequence":"7","_filtered":true}'
    assert unparsed_line("7", b"\x00", "why") == b'{"_sequence":"7","_unparsed":"AA==","_error":"why"}'
    assert lost_line("5", "gone") == b'{"_sequence":"5+lost","_unparsed":"","_error":"gone"}'
    assert "5" < "5+lost" < "6"
