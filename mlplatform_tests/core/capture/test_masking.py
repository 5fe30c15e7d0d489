"""Masked fields: equal values stay equal, under one key only."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.capture.masking import Masking
from mlplatform.core.capture.spool import SegmentName, holes, parse_segment

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


def test_a_mask_is_hmac_sha256_of_the_values_json() -> None:
    masked = Masking(frozenset({"a"}), frozenset({"b"}), b"key").rows([{"a": "x", "b": 1, "c": 2}])
    assert masked == [{"a": hmac.new(b"key", b'"x"', hashlib.sha256).hexdigest()[:32], "c": 2}]
    assert masked[0]["a"] == "7a2c53faaad4ecc87cc29f593f9af73c"  # openssl dgst -sha256 -hmac key


@given(VALUES, VALUES)
def test_masks_are_equal_exactly_where_values_are(one: object, two: object) -> None:
    masking = Masking(frozenset({"a"}), key=b"key")
    first, second = (row["a"] for row in masking.rows([{"a": one}, {"a": two}]))
    assert (first == second) == (repr(one) == repr(two))
    assert (first is None) == (one is None)


def test_another_key_gives_another_mask() -> None:
    masks = {Masking(frozenset({"a"}), key=key).rows([{"a": "x"}])[0]["a"] for key in (b"1", b"2")}
    assert len(masks) == 2


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(Masking(frozenset({"a"}), key=b"secret"))


@given(st.sets(st.integers(1, 200)), st.integers(0, 50))
def test_holes_are_the_sequences_that_are_not_there(present: set[int], after: int) -> None:
    kept = sorted(n for n in present if n > after)
    expected = len(set(range(after + 1, kept[-1] + 1)) - present) if kept else 0
    assert holes(after, kept) == expected


def test_segments_are_named_by_worker_and_number() -> None:
    name = SegmentName("12-345", 7)
    assert str(name) == "12-345-00000007"
    assert parse_segment(f"{name}.open") == parse_segment(f"{name}.jsonl") == name
    assert parse_segment("12-345.count") is None
