"""Tumbling windows: full ones only, in order, closed when nothing more is to come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.drift.windows import Window, is_closed, tumble

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_windows_follow_each_other_and_leave_the_rest() -> None:
    assert tumble(["b", "c", "d", "e", "f"], model="m", after="a", size=2, index=3) == [
        Window("m", 3, "a", "b", "c", 2),
        Window("m", 4, "c", "d", "e", 2),
    ]


@given(st.integers(0, 50), st.integers(1, 9))
def test_windows_cover_the_values_without_gap_or_overlap(count: int, size: int) -> None:
    values = [f"{k:03}" for k in range(count)]
    windows = tumble(values, model="m", after="", size=size)
    assert len(windows) == count // size
    covered = [v for w in windows for v in values if w.after < v <= w.upto]
    assert covered == values[: size * len(windows)]


@pytest.mark.parametrize(
    ("shards", "later", "waiting", "age_s", "closed"),
    [
        ({"s0": True, "s1": True}, True, [], 0, True),
        ({"s0": True, "s1": False}, True, [], 0, False),
        ({"s0": True, "s1": False}, True, [], 5, True),
        ({}, True, [], 0, True),
        ({}, False, [], 0, False),
        ({}, False, [], 5, True),
        # What waits holds it open, however long ago the last row came, but not where it lies behind the window.
        ({"s0": True, "s1": False}, True, ["s1"], 5, False),
        ({"s0": True, "s1": False}, True, ["s0"], 5, True),
        ({"s0": True}, True, ["s1"], 0, False),
        ({}, True, ["objects/in/"], 5, False),
    ],
)
def test_a_window_closes_when_every_shard_went_past_it_or_nothing_came_for_a_while_and_nothing_waits(
    shards: dict[str, bool], later: bool, waiting: list[str], age_s: float, closed: bool
) -> None:
    newest = NOW - timedelta(seconds=age_s)
    lateness = timedelta(seconds=5)
    found = is_closed(
        newest_load=newest, passed_by=shards, later_values=later, waiting=waiting, now=NOW, lateness=lateness
    )
    assert found is closed
