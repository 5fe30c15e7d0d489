"""Where a rollback goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.rollout.history import rollback_target, version_stack


@pytest.mark.parametrize(
    ("versions", "target"),
    [
        ([], None),
        ([1], None),
        ([1, 1], None),
        ([1, 2], 1),
        ([1, 2, 3], 2),
        ([1, 2, 3, 2], 1),
        ([1, 2, 1], None),
        ([1, 2, 1, 3], 1),
    ],
)
def test_a_rollback_goes_to_the_version_before(versions: list[int], target: int | None) -> None:
    assert rollback_target(versions) == target


@given(st.lists(st.integers(1, 6), min_size=1))
def test_rolling_back_again_and_again_visits_each_version_once_and_ends(versions: list[int]) -> None:
    stack = version_stack(versions)
    assert stack[-1] == versions[-1]
    assert len(set(stack)) == len(stack)
    history, visited = list(versions), []
    while (target := rollback_target(history)) is not None:
        history.append(target)
        visited.append(target)
    assert visited == stack[-2::-1]
