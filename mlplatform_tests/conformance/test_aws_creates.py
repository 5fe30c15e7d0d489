"""Nothing is made twice on SageMaker: throttled, refused, answered by nobody, each create leaves what was asked for, once."""

from __future__ import annotations

import pytest

from mlplatform.errors import PermissionDeniedError, PlatformError, ThrottledError
from mlplatform_tests.conformance.aws_calls import Call
from mlplatform_tests.conformance.aws_creates import create
from mlplatform_tests.conformance.endpoint_places import sagemaker_place
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server

__all__ = ["create", "ministack_server", "sagemaker_place", "sagemaker_server"]


def made(create: Call) -> int:
    assert create.effects is not None
    return create.effects()


def test_what_was_made_and_not_answered_is_not_made_again(create: Call) -> None:
    create.failing.lose_answer(create.operation)
    create.do()
    assert create.failing.done.count(create.operation) == 2
    assert made(create) == 1


@pytest.mark.slow
def test_who_is_throttled_once_makes_one(create: Call) -> None:
    create.failing.refuse(create.operation, "ThrottlingException")
    create.do()
    assert create.failing.calls.count(create.operation) == 2
    assert made(create) == 1


@pytest.mark.slow
def test_who_stays_throttled_makes_nothing_and_the_next_makes_one(create: Call) -> None:
    create.failing.refuse(create.operation, "ThrottlingException", times=99)
    with pytest.raises(ThrottledError) as caught:
        create.do()
    assert create.resource in caught.value.message
    assert f"answered ThrottlingException to {create.operation}" in caught.value.message
    assert made(create) == 0
    create.failing.mend()
    create.do()
    assert made(create) == 1


def test_who_never_hears_that_it_was_made_finds_it_the_next_time(create: Call) -> None:
    create.failing.lose_answer(create.operation, times=99)
    with pytest.raises(PlatformError) as caught:
        create.do()
    assert caught.value.retryable
    create.failing.mend()
    create.do()
    assert made(create) == 1


def test_who_may_not_make_it_reads_which_action_and_makes_nothing(create: Call) -> None:
    create.failing.refuse(create.operation, "AccessDeniedException", status=403, times=99, message="Not you")
    with pytest.raises(PermissionDeniedError) as caught:
        create.do()
    assert create.resource in caught.value.message
    assert f"Allow {create.action} on it" in caught.value.next_step
    assert made(create) == 0
