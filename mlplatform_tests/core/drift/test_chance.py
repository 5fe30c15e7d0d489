"""Small samples of an unmoved distribution raise no alarm; moved ones do, as soon as their rows can tell."""

from __future__ import annotations

import numpy as np
import pytest

from mlplatform.core.drift.chance import by_chance, chi_square, chi_square_limit
from mlplatform.core.drift.judge import judge
from mlplatform.core.drift.profile import FeatureProfile, Profile

TRIALS = 400


def profile(counts: list[int]) -> Profile:
    n = sum(counts)
    edges = tuple(float(k) for k in range(1, len(counts)))
    return Profile(n, (FeatureProfile("x", "numeric", n, n, edges=edges, counts=tuple(counts)),))


def test_chi_square_of_two_samples_as_by_hand() -> None:
    # 2×2 table [[30, 70], [50, 50]]: Pearson's statistic is 8.3333 with one degree of freedom.
    value, degrees = chi_square([30, 70], [50, 50])
    assert (value, degrees) == (pytest.approx(25 / 3), 1)


@pytest.mark.parametrize(("degrees", "table"), [(1, 10.828), (9, 27.877), (19, 43.820), (99, 148.230)])
def test_the_limit_is_that_of_the_tables(degrees: int, table: float) -> None:
    assert chi_square_limit(degrees) == pytest.approx(table, rel=0.035)


def test_one_bin_alone_cannot_move() -> None:
    assert by_chance([10], [1000])


@pytest.mark.parametrize("rows", [10, 30, 60, 200])
@pytest.mark.parametrize("bins", [10, 20])
@pytest.mark.parametrize("statistic", ["psi", "js", "linf", "ks"])
def test_windows_of_the_same_distribution_alarm_at_most_once_in_a_hundred(statistic: str, bins: int, rows: int) -> None:
    rng = np.random.default_rng([bins, rows])
    reference = profile([5000 // bins] * bins)
    alarms = 0
    for _ in range(TRIALS):
        sample = profile([int(c) for c in rng.multinomial(rows, [1 / bins] * bins)])
        (found,) = judge(reference, sample, statistic=statistic, threshold=0.2, completeness=0.05)  # type: ignore[arg-type]
        alarms += found.drifted
    assert alarms <= TRIALS / 100


def test_a_distribution_that_moved_is_found_with_fifty_rows() -> None:
    rng = np.random.default_rng(7)
    moved = [0.19] * 5 + [0.01] * 5
    found = [
        judge(
            profile([500] * 10), profile([int(c) for c in rng.multinomial(50, moved)]), threshold=0.2, completeness=0.05
        )[0].drifted
        for _ in range(TRIALS)
    ]
    assert sum(found) >= 0.95 * TRIALS


def test_a_missing_value_or_two_in_a_small_window_is_no_loss() -> None:
    small = FeatureProfile("x", "numeric", 20, 17, edges=(1.0,), counts=(8, 9))
    many = FeatureProfile("x", "numeric", 2000, 1700, edges=(1.0,), counts=(850, 850))
    known = FeatureProfile("x", "numeric", 1000, 950, edges=(1.0,), counts=(475, 475))
    reference = Profile(1000, (known,))
    assert [
        judge(reference, Profile(f.rows, (f,)), threshold=0.2, completeness=0.05)[0].incomplete for f in (small, many)
    ] == [False, True]
