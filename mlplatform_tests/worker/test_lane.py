"""A lane goes on when a task fails: the others keep their turn, and the failed one waits longer each time."""

from __future__ import annotations

import threading

from mlplatform.worker.lane import MAX_BACKOFF_S, Lane, Task


class Clock:
    """Time that moves when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def lane(*tasks: Task) -> tuple[Lane, Clock]:
    clock = Clock()
    return Lane("test", list(tasks), 0.01, threading.Event(), clock), clock


def failing() -> bool:
    raise ValueError("broken")


def test_one_failing_task_stops_no_other() -> None:
    done: list[str] = []
    under_test, _ = lane(Task("bad", failing), Task("good", lambda: bool(done.append("x")) or True))
    assert under_test.round() is True
    assert done == ["x"]
    assert under_test.tasks[0].last_error == "ValueError: broken"


def test_a_failing_task_waits_twice_as_long_each_time_up_to_a_bound() -> None:
    under_test, clock = lane(Task("bad", failing))
    pauses = []
    for _ in range(8):
        under_test.round()
        pauses.append(under_test.tasks[0].not_before - clock.now)
        clock.now = under_test.tasks[0].not_before
    assert pauses == [1, 2, 4, 8, 16, MAX_BACKOFF_S, MAX_BACKOFF_S, MAX_BACKOFF_S]


def test_a_task_that_works_again_is_forgiven() -> None:
    broken = True

    def work() -> bool:
        if broken:
            raise ValueError("broken")
        return True

    under_test, clock = lane(Task("sometimes", work))
    under_test.round()
    clock.now, broken = 1.0, False
    assert under_test.round() is True
    assert (under_test.tasks[0].failures, under_test.tasks[0].last_error) == (0, "")


def test_a_task_keeps_its_pace() -> None:
    calls: list[float] = []
    clock = Clock()
    under_test = Lane(
        "test", [Task("slow", lambda: bool(calls.append(clock.now)), every_s=5)], 0.01, threading.Event(), clock
    )
    for clock.now in (0.0, 1.0, 4.9, 5.0, 9.0, 10.0):
        under_test.round()
    assert calls == [0.0, 5.0, 10.0]


def test_a_lane_ends_when_told_in_mid_round() -> None:
    stop = threading.Event()
    done: list[str] = []
    first = Task("first", lambda: bool(stop.set()))
    under_test = Lane("test", [first, Task("second", lambda: bool(done.append("x")))], 0.01, stop)
    under_test.start()
    assert under_test.thread is not None
    under_test.thread.join(timeout=10)
    assert not under_test.thread.is_alive()
    assert done == []
