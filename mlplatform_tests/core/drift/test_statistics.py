"""Each drift statistic against figures worked out by hand and against scipy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.drift.js import js
from mlplatform.core.drift.ks import ks, robust_ks
from mlplatform.core.drift.linf import linf
from mlplatform.core.drift.psi import psi

Statistic = Callable[[list[int], list[int]], float]
COUNTS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=2, max_size=20).filter(
    lambda pairs: sum(a for a, _ in pairs) > 0 and sum(b for _, b in pairs) > 0
)


def test_psi_of_two_bins_is_the_hand_worked_figure() -> None:
    assert psi([50, 50], [60, 40]) == pytest.approx(0.1 * math.log(1.2) - 0.1 * math.log(0.8))


def test_psi_of_an_emptied_bin_is_finite_by_the_floor() -> None:
    expected = (1 - 0.5) * math.log(1 / 0.5) + (1e-4 - 0.5) * math.log(1e-4 / 0.5)
    assert psi([1, 1], [2, 0]) == pytest.approx(expected)


def test_psi_of_a_shift_of_three_tenths_of_a_deviation_is_near_its_square() -> None:
    rng = np.random.default_rng(7)
    reference, current = rng.normal(size=200_000), rng.normal(0.3, 1, size=200_000)
    edges = np.quantile(reference, np.arange(1, 10) / 10)
    counts = [np.bincount(np.searchsorted(edges, x), minlength=10).tolist() for x in (reference, current)]
    assert psi(*counts) == pytest.approx(0.09, abs=0.01)
    assert ks(*counts) == pytest.approx(0.119, abs=0.003)


def test_js_of_disjoint_samples_is_one() -> None:
    assert js([5, 0], [0, 9]) == 1.0


@given(COUNTS)
def test_js_equals_scipys(pairs: list[tuple[int, int]]) -> None:
    from scipy.spatial.distance import jensenshannon

    r, c = [a for a, _ in pairs], [b for _, b in pairs]
    assert js(r, c) == pytest.approx(float(np.nan_to_num(jensenshannon(r, c, base=2))), abs=1e-6)


def test_ks_is_the_largest_gap_of_the_cumulated_shares() -> None:
    assert ks([2, 2, 0], [0, 2, 2]) == 0.5


def test_robust_ks_takes_off_what_chance_explains() -> None:
    assert robust_ks(0.14, 1000, 1000) == pytest.approx(0.14 - 1.8 * math.sqrt(2 / 1000))
    assert robust_ks(0.24, 50, 50) == 0.0


def test_linf_is_the_largest_change_of_a_share() -> None:
    assert linf([50, 30, 20], [20, 50, 30]) == pytest.approx(0.3)


@pytest.mark.parametrize("statistic", [psi, js, ks, linf])
@given(pairs=COUNTS)
def test_a_sample_is_no_distance_from_itself_and_none_is_negative(
    statistic: Statistic, pairs: list[tuple[int, int]]
) -> None:
    r, c = [a for a, _ in pairs], [b for _, b in pairs]
    assert statistic(r, r) == pytest.approx(0.0, abs=1e-9)
    assert statistic(r, c) >= 0
    assert statistic(r, c) == pytest.approx(statistic(c, r))


@pytest.mark.parametrize("statistic", [psi, js, ks, linf])
def test_an_empty_sample_is_refused(statistic: Statistic) -> None:
    with pytest.raises(ValueError, match="empty sample"):
        statistic([1, 2], [0, 0])
