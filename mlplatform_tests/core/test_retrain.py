"""The retraining policy: case by case, and as a machine that may do anything in any order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mlplatform.core.retrain import DAY, Decision, Finding, Policy, Request, decide, lost, may_train_first

NOW = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
POLICY = Policy(("quality",), timedelta(hours=1), 2)
FAILED = Finding("m/g1.w4", ("quality", "drift"))


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def request(hours: float, **changes: Any) -> Request:
    made = {
        "id": f"r{hours}",
        "reason": "",
        "evaluation_id": "m/g1.w3",
        "checks": ("quality",),
        "requested_at": ago(hours),
    }
    return Request(**{**made, **changes})


def test_a_first_training_counts_neither_in_the_cap_nor_for_the_cool_down() -> None:
    first = request(0.1, evaluation_id="", status="done", finished_at=ago(0.05))
    assert decide(FAILED, [first], now=NOW, policy=Policy(("quality",), timedelta(hours=1), 1)).retrain


def test_a_failed_check_that_is_named_asks() -> None:
    assert decide(FAILED, [], now=NOW, policy=POLICY) == Decision(
        True, "evaluation m/g1.w4 failed quality", ("quality",)
    )


@pytest.mark.parametrize(
    ("finding", "requests", "why"),
    [
        (None, [], "the live model has not been judged yet"),
        (Finding("m/g1.w4", ("drift",)), [], "evaluation m/g1.w4 failed none of: quality"),
        (FAILED, [request(30)], "request r30 is still requested"),
        (FAILED, [request(30, status="launched")], "request r30 is still launched"),
        (
            FAILED,
            [request(0.9, status="failed")],
            "the cool-down after request r0.9 lasts until 2026-01-10T12:06:00+00:00",
        ),
        (
            FAILED,
            [request(3, status="done", finished_at=ago(0.5))],
            "the cool-down after request r3 lasts until 2026-01-10T12:30:00+00:00",
        ),
        (FAILED, [request(23, status="done"), request(5, status="failed")], "2 were made in the last 24 hours"),
        (FAILED, [request(25, status="done", evaluation_id="m/g1.w4")], "ended without a better model"),
    ],
)
def test_what_is_skipped_is_said(finding: Finding | None, requests: list[Request], why: str) -> None:
    decision = decide(finding, requests, now=NOW, policy=POLICY)
    assert not decision.retrain
    assert why in decision.reason


@pytest.mark.parametrize(
    "requests",
    [
        [request(25, status="done"), request(24, status="done"), request(5, status="done", finished_at=ago(1))],
        [request(2, status="failed", evaluation_id="m/g1.w4", finished_at=ago(1.5))],
    ],
)
def test_after_cool_down_and_within_the_cap_it_asks_again(requests: list[Request]) -> None:
    assert decide(FAILED, requests, now=NOW, policy=POLICY).retrain


YAML, ROWS = "yaml-1", "100 rows"


def first(hours: float, status: str, *, basis: tuple[str, str] = (YAML, ROWS), message: str = "") -> Request:
    """A first training asked for so long ago, ended a minute later if it has ended."""
    ended = None if status in ("requested", "launched") else ago(hours) + timedelta(minutes=1)
    return Request(
        f"first-{hours}", "first training", "", (), ago(hours), status, basis=basis, finished_at=ended, message=message
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("requests", "basis", "why"),
    [
        ([], (YAML, ROWS), ""),
        ([first(0.1, "launched")], (YAML, ROWS), "is still launched"),
        (
            [first(30, "done", message="gate: r2 0.5 is below 0.6")],
            (YAML, ROWS),
            "ended on the same rows and YAML: gate: r2 0.5",
        ),
        ([first(0.1, "done")], (YAML, "200 rows"), "the cool-down"),
        ([first(3, "done")], (YAML, "200 rows"), ""),
        ([first(0.1, "failed")], (YAML, ROWS), "the cool-down"),
        ([first(3, "failed")], (YAML, ROWS), ""),
        ([first(3, "done", basis=(YAML, "1")), first(2, "done", basis=(YAML, "2"))], (YAML, "3"), "2 were made"),
        ([first(3, "done", basis=(YAML, "1")), first(0.1, "done", basis=(YAML, "2"))], ("yaml-2", "2"), ""),
    ],
)
def test_a_first_training_is_tried_again_on_new_rows_or_an_edited_yaml_only(
    requests: list[Request], basis: tuple[str, str], why: str
) -> None:
    found = may_train_first(requests, basis, now=NOW, policy=POLICY)
    assert why in found if why else found == ""


@pytest.mark.parametrize("status", ["requested", "launched"])
def test_a_request_of_which_nothing_is_heard_for_a_day_is_lost(status: str) -> None:
    waiting = request(25, status="requested")
    taken = waiting if status == "requested" else waiting.launched("run", ago(24.5))
    assert lost([taken, request(1, status="requested")], now=NOW) == [taken]


def test_a_request_of_the_future_of_which_nothing_is_heard_is_lost_too() -> None:
    assert lost([request(-25, status="requested"), request(-1, status="requested")], now=NOW) == [
        request(-25, status="requested")
    ]


def test_a_request_comes_back_from_json_at_every_step() -> None:
    made = request(1)
    for step in (made, made.launched("run", NOW), made.launched("run", NOW).finished("failed", NOW, "no memory")):
        assert Request.from_json(json.loads(json.dumps(step.to_json()))) == step


class RetrainMachine(RuleBasedStateMachine):
    """Evaluations, runs that end in any way, and time, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.requests: list[Request] = []
        self.windows = 0
        self.finding: Finding | None = None
        self.policy = Policy(("quality",), timedelta(hours=1), 3)

    def _replace(self, old: Request, new: Request) -> None:
        self.requests[self.requests.index(old)] = new

    def _decide(self) -> bool:
        decision = decide(self.finding, self.requests, now=self.now, policy=self.policy)
        if decision.retrain and self.finding is not None:
            made = Request(
                str(len(self.requests)), decision.reason, self.finding.evaluation_id, decision.checks, self.now
            )
            self.requests.append(made)
        return decision.retrain

    @rule(failed=st.sampled_from([(), ("quality",), ("drift",), ("quality", "drift")]))
    def a_window_is_judged(self, failed: tuple[str, ...]) -> None:
        self.windows += 1
        self.finding = Finding(f"w{self.windows}", failed)

    @rule()
    def somebody_decides(self) -> None:
        wanted = self.finding is not None and "quality" in self.finding.failed
        assert not self._decide() or wanted

    @rule(minutes=st.integers(1, 24 * 60))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: any(r.status == "requested" for r in self.requests))
    @rule()
    def a_run_takes_the_request(self) -> None:
        waiting = next(r for r in self.requests if r.status == "requested")
        self._replace(waiting, waiting.launched("run", self.now))

    @precondition(lambda self: any(r.status == "launched" for r in self.requests))
    @rule(outcome=st.sampled_from(["done", "failed"]))
    def a_run_ends(self, outcome: Any) -> None:
        running = next(r for r in self.requests if r.status == "launched")
        self._replace(running, running.finished(outcome, self.now))

    @precondition(lambda self: self.finding is not None and "quality" in self.finding.failed)
    @rule()
    def a_failing_champion_is_retrained_in_the_end(self) -> None:
        for r in [r for r in self.requests if r.open]:
            self._replace(r, r.finished("failed", self.now))
        answered = any(
            r.status == "done" and self.finding is not None and r.evaluation_id == self.finding.evaluation_id
            for r in self.requests
        )
        self.now += DAY + self.policy.cooldown
        assert self._decide() != answered

    @invariant()
    def never_two_are_open(self) -> None:
        assert sum(r.open for r in self.requests) <= 1

    @invariant()
    def never_more_than_the_cap_in_any_day(self) -> None:
        for r in self.requests:
            within = [q for q in self.requests if r.requested_at <= q.requested_at < r.requested_at + DAY]
            assert len(within) <= self.policy.max_per_day

    @invariant()
    def never_one_within_the_cool_down(self) -> None:
        times = [r.requested_at for r in self.requests]
        assert all(b - a >= self.policy.cooldown for a, b in pairwise(times))


RetrainMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRetrainMachine = RetrainMachine.TestCase
