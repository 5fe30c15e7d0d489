"""The suite of faults, over every adapter that asks AWS: what passes is not seen, and what stays says what to do and leaves nothing.

Partial failures, notices that come twice or never, and what is seen late are each one service's own: their adapters' tests have them.
"""

from __future__ import annotations

import threading

import pytest

from mlplatform.errors import (
    PermissionDeniedError,
    PlatformError,
    ProfileError,
    ThrottledError,
    UnavailableError,
)
from mlplatform.worker.lane import Lane, Task
from mlplatform_tests.conformance.aws_calls import ADAPTERS, HURRY_S, Call, call, hurried_call
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server
from mlplatform_tests.serving.until import until

__all__ = ["call", "hurried_call", "ministack_server", "redshift_server", "sagemaker_server"]

DENIED = "User: arn:aws:iam::111122223333:user/u is not authorized"


def told(call: Call) -> PlatformError:
    """What the call raises."""
    with pytest.raises(PlatformError) as caught:
        call.do()
    assert call.resource in str(caught.value)
    return caught.value


def check_works_again(call: Call) -> None:
    """Once nothing is wrong any more, it is done, and once."""
    call.failing.mend()
    call.do()
    assert call.effects is None or call.effects() == 1


@pytest.mark.parametrize("status", [400, pytest.param(500, marks=pytest.mark.slow)])
def test_what_is_refused_for_a_moment_is_asked_again(call: Call, status: int) -> None:
    code = call.throttled if status == 400 else "InternalFailure"
    call.failing.refuse(call.operation, code, status=status)
    before = call.failing.calls.count(call.operation)
    call.do()
    assert call.failing.calls.count(call.operation) == before + 2
    assert call.effects is None or call.effects() == 1


@pytest.mark.parametrize("status", [400, pytest.param(500, marks=pytest.mark.slow)])
def test_what_stays_refused_may_be_tried_later(call: Call, status: int) -> None:
    code, kind = (call.throttled, ThrottledError) if status == 400 else ("InternalFailure", UnavailableError)
    call.failing.refuse(call.operation, code, status=status, times=99)
    found = told(call)
    assert type(found) is (call.told_as or kind)
    assert found.retryable
    assert f"answered {code} to {call.operation}" in found.message
    assert "later" in found.next_step
    check_works_again(call)


def test_who_may_not_reads_which_action_on_what(call: Call) -> None:
    call.failing.refuse(call.operation, "AccessDeniedException", status=403, times=99, message=DENIED)
    found = told(call)
    assert type(found) is (call.told_as or PermissionDeniedError)
    assert f"answered AccessDeniedException to {call.operation}: {DENIED}" in found.message
    assert call.action in found.next_step
    check_works_again(call)


def test_credentials_that_are_none_any_more_are_to_be_renewed(call: Call) -> None:
    call.failing.refuse(
        call.operation,
        "ExpiredTokenException",
        times=99,
        message="The security token included in the request is expired",
    )
    found = told(call)
    assert type(found) is (call.told_as or PermissionDeniedError)
    assert found.next_step.startswith("Renew the credentials")
    check_works_again(call)


def test_who_asks_in_another_region_is_told_of_regions(call: Call) -> None:
    said = "Credential should be scoped to a valid region, not 'us-east-1'"
    call.failing.refuse(call.operation, "InvalidSignatureException", times=99, message=said)
    found = told(call)
    assert type(found) is (call.told_as or ProfileError)
    assert "(in us-east-1)" in found.message
    assert "Set 'region'" in found.next_step
    check_works_again(call)


@pytest.mark.slow
def test_a_call_whose_answer_was_lost_is_made_again(call: Call) -> None:
    call.failing.lose_answer(call.operation)
    call.do()
    assert is_done_once(call)


def is_done_once(call: Call) -> bool:
    """As far as its service knows: Kinesis takes it a second time, which tables with a unique key count as a duplicate."""
    return call.effects is None or call.effects() in ((1, 2) if call.operation == "PutRecords" else (1,))


SHORT = [name if name in ("s3", "kinesis") else pytest.param(name, marks=pytest.mark.slow) for name in ADAPTERS]
"""What follows is shown of these by default."""


@pytest.mark.parametrize("hurried_call", SHORT, indirect=True)
def test_an_answer_that_takes_longer_than_the_client_waits_is_asked_for_again(hurried_call: Call) -> None:
    call, before = hurried_call, len(hurried_call.failing.done)
    call.failing.slow(call.operation, HURRY_S + 0.5)
    asked = call.failing.calls.count(call.operation)
    call.do()
    assert call.failing.calls.count(call.operation) == asked + 2
    # The first comes to the service yet, behind the second.
    until(lambda: call.failing.done[before:].count(call.operation) >= 2)
    assert is_done_once(call)


@pytest.mark.parametrize("call", SHORT, indirect=True)
def test_a_worker_that_is_throttled_for_a_minute_asks_ever_less_often_and_then_goes_on(call: Call) -> None:
    now, tries = 0.0, 0
    task = Task("asks", lambda: bool(call.do()))
    lane = Lane("test", [task], 0.01, threading.Event(), lambda: now)
    call.failing.refuse(call.operation, call.throttled, times=10_000)
    while now < 60:
        lane.round()
        assert call.resource in task.last_error
        assert f"answered {call.throttled} to {call.operation}" in task.last_error
        now, tries = task.not_before, tries + 1
    assert tries <= 7
    call.failing.mend()
    lane.round()
    assert (task.failures, task.last_error) == (0, "")
    assert call.effects is None or call.effects() == 1
