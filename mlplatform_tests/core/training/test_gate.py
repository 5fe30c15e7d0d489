"""The gate: worse, equal and better challengers, few and many groups, segments, thresholds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mlplatform.core.training.bootstrap import compare, groups_needed
from mlplatform.core.training.gate import GateRules, Judgement, Rows, judge

RULES = GateRules("r2", 0.5, True, unit="days")


def _judge(gap: float, *, days: int = 40, seed: int = 0, rules: GateRules = RULES, per_day: int = 20) -> Judgement:
    """A champion with noise 1 and a challenger with noise 1 + gap; half of each error is the day's, shared by its rows."""
    rng = np.random.default_rng(seed)
    n = days * per_day
    day = np.repeat(np.arange(days), per_day)
    truth = rng.normal(0, 3, n)
    champion, challenger = (
        truth + scale * (0.7 * rng.normal(0, 1, days)[day] + 0.7 * rng.normal(0, 1, n)) for scale in (1.0, 1.0 + gap)
    )
    segments = {"sector": ["odd" if d % 2 else "even" for d in day]}
    return judge(rules, "regression", Rows(truth, day, segments), challenger, champion, rng=np.random.default_rng(seed))


def test_a_better_challenger_passes() -> None:
    verdict = _judge(-0.5)
    assert (verdict.passed, verdict.outcome) == (True, "better")
    assert verdict.comparison is not None
    assert 0 < verdict.comparison.low < verdict.comparison.improvement < verdict.comparison.high
    assert verdict.comparison.groups == 40
    assert verdict.reason.startswith("Better: r2 0.9")


def test_a_worse_challenger_does_not_pass() -> None:
    verdict = _judge(0.5)
    assert (verdict.passed, verdict.outcome) == (False, "not_better")
    assert verdict.comparison is not None
    assert verdict.comparison.high < 0


def test_equal_challengers_are_undecided_and_rarely_pass() -> None:
    outcomes = [_judge(0.0, seed=seed).outcome for seed in range(60)]
    assert outcomes.count("undecided") >= 50
    # 95 % interval: about 2.5 % on each side by chance.
    assert outcomes.count("better") <= 5


def test_undecided_says_about_how_many_more_days_it_takes() -> None:
    verdict = _judge(-0.15, days=10, seed=1)
    assert (verdict.passed, verdict.outcome) == (False, "undecided")
    assert verdict.comparison is not None
    needed = verdict.comparison.groups_needed
    assert needed is not None
    assert f"Undecided, about {needed} more days needed" in verdict.reason
    assert needed < 200
    assert _judge(-0.15, days=10 + 4 * needed, seed=1).outcome == "better"


def test_many_groups_take_no_more_work_and_give_the_same_interval() -> None:
    rng = np.random.default_rng(4)
    truth = rng.normal(0, 3, 40_000)
    ours, theirs = truth + rng.normal(0, 0.99, 40_000), truth + rng.normal(0, 1, 40_000)
    found = compare(
        "rmse", truth, ours, theirs, groups=None, higher_is_better=False, margin=0, confidence=0.95, resamples=500,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert found.groups == 40_000
    # The difference of two mean squares of independent errors: sd √(2·2/n) in squares, half of it in roots.
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(4 / 40_000) / 2, rel=0.1)


def test_rows_of_a_day_are_not_independent() -> None:
    """Resampling rows instead of days gives too narrow an interval."""
    rng = np.random.default_rng(2)
    day = np.repeat(np.arange(15), 200)
    truth = rng.normal(0, 3, 3000)
    errors = [rng.normal(0, 1, 15)[day] + 0.1 * rng.normal(0, 1, 3000) for _ in range(2)]
    widths = {}
    for name, groups in (("days", day), ("rows", None)):
        found = compare(
            "rmse", truth, truth + errors[0], truth + errors[1], groups=groups, higher_is_better=False, margin=0,
            confidence=0.95, resamples=1000, rng=np.random.default_rng(0),
        )  # fmt: skip
        widths[name] = found.high - found.low
    assert widths["days"] > 5 * widths["rows"]


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_an_error_metric_is_better_when_it_falls(metric: str) -> None:
    rules = replace(RULES, metric=metric, threshold=2.0, higher_is_better=False)
    assert _judge(-0.5, rules=rules).outcome == "better"
    assert _judge(0.5, rules=rules).outcome == "not_better"
    assert _judge(-0.5, rules=replace(rules, threshold=0.1)).outcome == "below_threshold"


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc", "log_loss"])
@pytest.mark.parametrize("classes", [2, 3])
def test_classifiers_are_compared(metric: str, classes: int) -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, classes, 800)
    sure, unsure = (
        (s := strength * np.eye(classes)[truth] + rng.random((800, classes))) / s.sum(1, keepdims=True)
        for strength in (1.0, 0.3)
    )
    rules = GateRules(metric, 5.0 if metric == "log_loss" else 0.1, metric != "log_loss", resamples=300)
    rows = Rows(truth.astype(float), None)
    assert judge(rules, "multiclass", rows, sure, unsure, rng=rng).outcome == "better"
    assert judge(rules, "multiclass", rows, unsure, sure, rng=rng).outcome == "not_better"


def test_the_margin_must_be_cleared() -> None:
    clear = _judge(-0.5)
    assert clear.comparison is not None
    wide = replace(RULES, margin=clear.comparison.high)
    assert _judge(-0.5, rules=wide).outcome == "not_better"
    between = replace(RULES, margin=(clear.comparison.low + clear.comparison.improvement) / 2)
    assert _judge(-0.5, rules=between).outcome == "undecided"


def test_the_threshold_comes_first_even_for_a_better_challenger() -> None:
    verdict = _judge(-0.5, rules=replace(RULES, threshold=0.999))
    assert (verdict.passed, verdict.outcome) == (False, "below_threshold")
    assert "misses the threshold: expected at least 0.999" in verdict.reason


def test_the_first_model_needs_the_threshold_only() -> None:
    truth = np.random.default_rng(0).normal(0, 3, 100)
    rows = Rows(truth, None)
    good = judge(RULES, "regression", rows, truth + 0.1, None, rng=np.random.default_rng(0))
    bad = judge(RULES, "regression", rows, -truth, None, rng=np.random.default_rng(0))
    assert (good.passed, good.outcome, good.comparison) == (True, "first", None)
    assert (bad.passed, bad.outcome) == (False, "below_threshold")


def test_a_segment_that_gets_too_much_worse_stops_a_better_challenger() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 3, 2000)
    small = rng.random(2000) < 0.1
    champion = truth + rng.normal(0, 1, 2000)
    challenger = truth + np.where(small, 2.0, 0.5) * rng.normal(0, 1, 2000)
    rows = Rows(truth, None, {"sector": np.where(small, "small", "large").tolist()})
    loose = judge(RULES, "regression", rows, challenger, champion, rng=np.random.default_rng(0))
    assert loose.outcome == "better"
    assert [(s.value, s.improvement is not None and s.improvement > 0) for s in loose.segments] == [
        ("large", True),
        ("small", False),
    ]
    strict = judge(
        replace(RULES, segment_tolerance=0.05), "regression", rows, challenger, champion, rng=np.random.default_rng(0)
    )
    assert (strict.passed, strict.outcome) == (False, "segment_worse")
    assert "where sector is 'small' r2 is" in strict.reason


def test_only_common_rows_are_compared_and_none_is_no_pass() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 3, 400)
    champion, challenger = truth + rng.normal(0, 1, 400), truth + rng.normal(0, 0.5, 400)
    day = np.repeat(np.arange(40), 10)
    common = day >= 30
    verdict = judge(
        RULES, "regression", Rows(truth, day), challenger, champion, common=common, rng=np.random.default_rng(0)
    )
    assert verdict.rows == 400
    assert verdict.comparison is not None
    assert (verdict.comparison.rows, verdict.comparison.groups) == (100, 10)
    none = judge(
        RULES, "regression", Rows(truth, day), challenger, champion, common=common & False, rng=np.random.default_rng(0)
    )
    assert (none.passed, none.outcome) == (False, "no_common_rows")


def test_the_same_seed_gives_the_same_interval() -> None:
    assert _judge(-0.06, seed=3) == _judge(-0.06, seed=3)


def test_a_judgement_is_json_without_nan() -> None:
    truth = np.random.default_rng(0).normal(0, 3, 40)
    rows = Rows(truth, None, {"one": [None] * 40})
    verdict = judge(
        RULES, "regression", rows, truth, truth, common=np.zeros(40, dtype=bool), rng=np.random.default_rng(0)
    )
    text = json.dumps(verdict.to_json(), allow_nan=False)
    assert json.loads(text)["comparison"]["low"] is None


@pytest.mark.parametrize(
    ("improvement", "low", "high", "expected"),
    # The half towards zero is 0.2 and must shrink to 0.1: four times the groups. At twice the width needed: 3 × more.
    [(0.1, -0.1, 0.3, 30), (-0.1, -0.3, 0.1, 30), (0.0, -0.1, 0.1, None), (0.1, float("nan"), float("nan"), None)],
)
def test_groups_needed_follows_the_square_root(
    improvement: float, low: float, high: float, expected: int | None
) -> None:
    assert groups_needed(improvement, low, high, 10) == expected
