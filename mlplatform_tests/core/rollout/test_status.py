"""What an endpoint's workers, seen together, serve."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.rollout.status import Observation, Report, observe, settled

READY = Report("a", True, 2)


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([], Observation(0, "Updating", 0, "nobody serves; generation 2 waits for them.")),
        ([Report("a", False)], Observation(0, "Updating", 0, "1 workers are starting; generation 2 waits for them.")),
        ([READY, READY], Observation(2, "InService", 2)),
        ([READY, Report("b", False)], Observation(2, "InService", 1)),
        (
            [READY, Report("b", True, 1)],
            Observation(1, "Updating", 2, "1 of 2 workers do not answer with generation 2 yet."),
        ),
        (
            [READY, Report("b", True, 1, 2, "damaged")],
            Observation(1, "Failed", 2, "Generation 2 cannot be served: damaged (generation 1 goes on serving)."),
        ),
        (
            [Report("b", True, 0, 2, "damaged")],
            Observation(0, "Failed", 1, "Generation 2 cannot be served: damaged (nothing serves)."),
        ),
        (
            [Report("b", True, 1, 1, "an older one was")],
            Observation(1, "Updating", 1, "1 of 1 workers do not answer with generation 2 yet. an older one was"),
        ),
    ],
)
def test_the_state_follows_from_the_reports(reports: list[Report], expected: Observation) -> None:
    assert observe(2, rolling_back=False, reports=reports) == expected


def test_a_rollback_is_called_one_until_it_is_done() -> None:
    assert observe(2, rolling_back=True, reports=[Report("a", True, 1)]).status == "RollingBack"
    assert observe(2, rolling_back=True, reports=[READY]).status == "InService"


@given(
    st.lists(st.builds(Report, st.just("w"), st.booleans(), st.integers(0, 5), st.integers(0, 5))), st.integers(1, 5)
)
def test_what_is_settled_is_in_service_or_beyond(reports: list[Report], generation: int) -> None:
    seen = observe(generation, rolling_back=False, reports=reports)
    if settled(generation, reports):
        assert seen.live_generation >= generation
        assert seen.workers == len(reports)
    if seen.status == "InService":
        assert seen.live_generation == generation
