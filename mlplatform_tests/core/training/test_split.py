"""Splits: SQL and Python agree, shares are as asked, and what is held out stays so."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlplatform.core.training.split import HashSplit, TimeSplit, split_from_json, split_to_json
from mlplatform.errors import DataError

KEYS = {
    "VARCHAR": st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))),
    "BIGINT": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    "DATE": st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31)),
    "BOOLEAN": st.booleans(),
}


@settings(max_examples=60, deadline=None)
@given(st.data(), st.text("ab'é", max_size=4), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_sql_and_python_choose_the_same_channel(data: Any, salt: str, holdout: float, validation: float) -> None:
    rows = [
        (kind, data.draw(values), data.draw(KEYS["VARCHAR"]))
        for kind in data.draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=6))
        for values in [KEYS[kind]]
    ]
    split = HashSplit(("one key", "two"), holdout, validation, salt)
    with duckdb.connect() as connection:
        for kind, one, two in rows:
            sql = f'SELECT {split.sql()} FROM (SELECT CAST(? AS {kind}) AS "one key", CAST(? AS VARCHAR) AS two)'
            assert connection.execute(sql, [one, two]).fetchall() == [(split.channel([one, two]),)]


def test_shares_are_as_asked() -> None:
    split = HashSplit(("k",), 0.15, 0.2, "s")
    channels = [split.channel([i]) for i in range(20_000)]
    assert channels.count("test") / 20_000 == pytest.approx(0.15, abs=0.01)
    assert channels.count("validation") / 20_000 == pytest.approx(0.85 * 0.2, abs=0.01)


def test_another_salt_holds_out_other_keys() -> None:
    held = [
        {i for i in range(1000) if HashSplit(("k",), 0.15, 0.15, salt).channel([i]) == "test"} for salt in ("a", "b")
    ]
    assert len(held[0] & held[1]) < 60


def test_a_smaller_holdout_is_held_out_by_the_larger_one() -> None:
    small, large = HashSplit(("k",), 0.1, 0.15, "s"), HashSplit(("k",), 0.2, 0.3, "s")
    assert large.holds_out_what(small)
    assert not small.holds_out_what(large)
    assert not large.holds_out_what(HashSplit(("k",), 0.1, 0.15, "t"))
    keys = range(2000)
    assert {k for k in keys if small.channel([k]) == "test"} < {k for k in keys if large.channel([k]) == "test"}


def test_a_key_whose_text_engines_write_differently_is_refused() -> None:
    with pytest.raises(DataError, match=r"Split key 'k' has a value of type float.* Cast it to varchar"):
        HashSplit(("k",), 0.1, 0.1).channel([0.5])
    with pytest.raises(DataError, match="type datetime"):
        HashSplit(("k",), 0.1, 0.1).channel([dt.datetime(2020, 1, 1, tzinfo=dt.UTC)])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_time_order_in_sql_and_python_agree(values: int, holdout: float, validation: float) -> None:
    split = TimeSplit("day", holdout, validation)
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT day, {split.sql()} FROM (SELECT range AS day, range + 1 AS _rank, {values} AS _values FROM range({values}))"
        ).fetchall()
    assert dict(found) == split.channels(range(values))


def test_the_newest_values_are_held_out() -> None:
    assert TimeSplit("day", 0.2, 0.25).channels([5, 1, 2, 3, 4, 4]) == {
        1: "train", 2: "train", 3: "train", 4: "validation", 5: "test",
    }  # fmt: skip
    assert TimeSplit("day", 0.07, 0.15).counts(100) == (78, 14, 8)


@pytest.mark.parametrize("split", [HashSplit(("a", "b"), 0.1, 0.2, "s"), TimeSplit("day", 0.1, 0.2)])
def test_rules_are_read_back_from_json(split: HashSplit | TimeSplit) -> None:
    assert split_from_json(split_to_json(split)) == split
