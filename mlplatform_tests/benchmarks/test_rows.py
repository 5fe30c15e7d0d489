"""Rows: medians, ratios within rounds, and bars."""

from __future__ import annotations

import pytest

from benchmarks.rounds import paired, series
from benchmarks.rows import Bar, Row, Series, row


def test_rounds_take_turns_and_come_back_as_pairs() -> None:
    turns: list[str] = []

    def ours() -> int:
        turns.append("A")
        return len(turns)

    def peer() -> int:
        turns.append("B")
        return len(turns)

    assert paired(ours, peer, rounds=3) == [(1, 2), (3, 4), (5, 6)]
    assert "".join(turns) == "ABABAB"


def test_a_quantity_of_both_sides_is_taken_from_the_pairs_in_order() -> None:
    pairs = [({"s": 1.0}, {"s": 10.0}), ({"s": 3.0}, {"s": 30.0})]
    assert series(pairs, "s") == (Series((1.0, 3.0)), Series((10.0, 30.0)))


def test_a_row_has_medians_and_spreads() -> None:
    made = row("a.b", "title", "s", Series.of([3, 1, 2]), Series.of([4, 9, 5]), peer_name="other")
    assert (made.ours, made.ours_spread, made.rounds) == (2.0, (1.0, 3.0), 3)
    assert (made.peer, made.peer_spread) == (5.0, (4.0, 9.0))


def test_the_ratio_is_taken_within_each_round_so_that_a_slower_machine_moves_both() -> None:
    # In the second round everything took ten times as long: ours is half the peer's in each.
    made = row("a", "title", "s", Series.of([1, 10, 1]), Series.of([2, 20, 2]), bar=Bar("ours / peer", "most", 0.5))
    assert made.ratio == 0.5
    assert made.holds is True


def test_times_faster_turns_the_ratio_round() -> None:
    made = row("a", "title", "s", Series.of([2]), Series.of([60]), bar=Bar("peer / ours", "least", 30))
    assert (made.ratio, made.bar, made.holds) == (30.0, "peer / ours ≥ 30", True)


def test_a_bar_missed_is_said() -> None:
    made = row("a", "title", "1/s", Series.of([9.9]), Series.of([1.0]), bar=Bar("ours / peer", "least", 10))
    assert made.holds is False


def test_a_bar_on_ours_alone_needs_no_peer() -> None:
    made = row("a", "title", "MiB", Series.of([1000.0, 1025.0, 900.0]), bar=Bar("ours", "most", 1024))
    assert (made.ratio, made.holds) == (None, True)


def test_without_a_bar_nothing_is_held_or_missed() -> None:
    made = row("a", "title", "s", Series.of([1.0]), Series.of([2.0]))
    assert (made.bar, made.holds, made.ratio) == ("", None, 0.5)


def test_series_of_different_lengths_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="ours has 2 rounds, the peer 1"):
        row("a", "title", "s", Series.of([1, 2]), Series.of([1]))


def test_a_ratio_without_a_peer_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a peer"):
        row("a", "title", "s", Series.of([1]), bar=Bar("ours / peer", "most", 1.5))


def test_no_rounds_are_no_series() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        Series.of([])


def test_a_row_comes_back_from_json_as_it_was() -> None:
    made = row("a", "title", "s", Series.of([1, 2]), Series.of([2, 3]), bar=Bar("ours / peer", "most", 1.5), note="n")
    assert Row.from_json(made.to_json()) == made
    alone = row("b", "title", "s", Series.of([1]))
    assert Row.from_json(alone.to_json()) == alone
