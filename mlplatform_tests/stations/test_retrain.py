"""Requests in the item store: one for a failed evaluation, one for the first data, whoever asks and however often."""

from __future__ import annotations

import multiprocessing
from collections.abc import Collection
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from mlplatform.core.drift.windows import Window
from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.stations.evaluation import Evaluation, Evaluations
from mlplatform.stations.retrain import PATIENCE
from mlplatform_tests.stations.monitored import SYSTEM, World, later, make_days, now, open_world, records

DIGEST = "d" * 64


@pytest.fixture
def world(tmp_path: Path) -> World:
    return open_world(tmp_path)


def judged(world: World, number: int, *failed: str, digest: str = DIGEST) -> Evaluation:
    """Store an evaluation of a model."""
    evaluations = Evaluations(world.items, system=SYSTEM, monitor="stock_monitor")
    window = Window(digest, number, "a", "b", "c", 2)
    return evaluations.add(
        Evaluation(
            id=evaluations.key(1, window),
            window=window,
            rows=40,
            judged_rows=40,
            model="m",
            generation=1,
            version=1,
            digest=digest,
            judged_at=now().isoformat(),
            metric="r2",
            quality=0.5,
            threshold=0.6,
            drift=(),
            failed=failed,
            reports="",
        )
    )


def test_a_failed_evaluation_of_the_live_model_makes_one_request(world: World) -> None:
    world.point_to(DIGEST)
    evaluation = judged(world, 0, "quality")
    decided = world.retrain().decide(now())
    assert decided.request is not None
    assert decided.request.id == "stock_prices/stock_prices/00000001"
    assert decided.request.evaluation_id == evaluation.id
    assert decided.reason == f"evaluation {evaluation.id} failed quality"
    again = world.retrain().decide(later(3_600 * 20))
    assert (again.request, again.reason) == (
        None,
        f"stock_monitor: evaluation {evaluation.id} failed quality, "
        "but request stock_prices/stock_prices/00000001 is still requested",
    )


def test_an_evaluation_of_another_model_than_the_live_one_asks_for_nothing(world: World) -> None:
    world.point_to(DIGEST)
    judged(world, 0, "quality", digest="e" * 64)
    assert world.retrain().decide(now()).reason == "stock_monitor: the live model has not been judged yet"


def test_the_newest_evaluation_decides(world: World) -> None:
    world.point_to(DIGEST)
    retrain = world.retrain()
    judged(world, 0)
    assert retrain.decide(now()).request is None
    judged(world, 1, "drift")
    assert retrain.decide(now()).request is None
    judged(world, 2, "quality", "drift")
    assert retrain.decide(now()).request is not None


def test_a_request_is_taken_by_one_run_and_ends_once(world: World) -> None:
    world.point_to(DIGEST)
    judged(world, 0, "quality")
    retrain = world.retrain()
    request = retrain.decide(now()).request
    assert request is not None
    assert [r.id for r in retrain.pending()] == [request.id]
    taken = retrain.launched(request.id, "run-1")
    assert retrain.launched(request.id, "run-1") == taken
    with pytest.raises(ConflictError, match=r"cannot be taken by run 'run-2': it is launched \(run 'run-1'\)"):
        retrain.launched(request.id, "run-2")
    assert retrain.pending() == []
    ended = retrain.finished(request.id, "failed", message="no memory")
    assert retrain.finished(request.id, "done") == ended
    assert [(r.status, r.run_id, r.message) for r in world.retrain().requests()] == [("failed", "run-1", "no memory")]


def test_a_failed_retraining_is_asked_for_again_after_the_cool_down(world: World) -> None:
    world.point_to(DIGEST)
    judged(world, 0, "quality")
    retrain = world.retrain(cooldown_s=60)
    first = retrain.decide(now()).request
    assert first is not None
    retrain.finished(first.id, "failed")
    assert "cool-down" in retrain.decide(later(30)).reason
    second = retrain.decide(later(61)).request
    assert second is not None
    assert second.id.endswith("/00000002")


def test_a_run_that_was_never_heard_of_again_does_not_hold_up_the_next_for_ever(world: World) -> None:
    world.point_to(DIGEST)
    judged(world, 0, "quality")
    retrain = world.retrain(cooldown_s=60)
    first = retrain.decide(now()).request
    assert first is not None
    retrain.launched(first.id, "run-1")
    assert "is still launched" in retrain.decide(later(3600)).reason
    assert "cool-down" in retrain.decide(later(86_401)).reason
    assert retrain.requests()[0].message == "nothing was heard of run 'run-1' for a day"
    assert retrain.decide(later(86_465)).request is not None


def test_an_unknown_request_is_named(world: World) -> None:
    with pytest.raises(NotFoundError, match="no retraining request 'x' for 'stock_prices/stock_prices'"):
        world.retrain().launched("x", "run-1")


def _decide(root: Path, at: datetime, together: Barrier, results: multiprocessing.SimpleQueue[str]) -> None:
    retrain = open_world(root).retrain()
    retrain.requests()
    together.wait(60)
    decided = retrain.decide(at)
    results.put(decided.request.id if decided.request else "")


def test_of_processes_that_decide_at_once_one_makes_the_request(world: World) -> None:
    world.point_to(DIGEST)
    judged(world, 0, "quality")
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
    together = context.Barrier(3)
    processes = [context.Process(target=_decide, args=(world.root, now(), together, results)) for _ in range(3)]
    for process in processes:
        process.start()
    made = [results.get() for _ in processes]
    for process in processes:
        process.join(60)
    assert [p.exitcode for p in processes] == [0, 0, 0]
    assert sorted(made) == ["", "", "stock_prices/stock_prices/00000001"]


def test_the_first_data_ask_for_the_first_training_once_they_have_settled(world: World) -> None:
    retrain = world.retrain()
    assert retrain.decide(now()).reason == "table 'stock_table' has 0 rows; the first training waits for 1000"
    before = now()
    world.load(records(make_days(0, 334)))
    assert retrain.decide(before).reason == "rows of table 'stock_table' are still being loaded"
    decided = retrain.decide(later(6))
    assert decided.request is not None
    assert (decided.request.evaluation_id, decided.reason) == ("", "first training: table 'stock_table' has 1002 rows")
    assert "still requested" in retrain.decide(later(7)).reason


def test_rows_that_never_stop_arriving_do_not_put_the_first_training_off_for_ever(world: World) -> None:
    world.load(records(make_days(0, 334)))
    started = now()
    world.load(records(make_days(334, 1)))
    assert world.retrain().decide(started + timedelta(seconds=4)).request is None
    assert world.retrain().decide(started + timedelta(seconds=61)).request is not None


def test_the_first_training_waits_for_a_history_that_is_loaded_slowly(world: World) -> None:
    asked: list[datetime] = []
    held = {"objects/base/"}

    def waiting(by: datetime) -> Collection[str]:
        asked.append(by)
        return held

    world.waiting = waiting
    before = now()
    world.load(records(make_days(0, 334)))
    retrain = world.retrain()
    assert retrain.decide(later(600)).reason == "rows of table 'stock_table' are still being loaded"
    assert before + PATIENCE <= asked[-1] <= now() + PATIENCE
    held.clear()
    assert retrain.decide(later(601)).request is not None


def test_what_can_never_be_loaded_does_not_put_the_first_training_off_for_ever(world: World) -> None:
    world.waiting = lambda _: {"objects/base/"}
    world.load(records(make_days(0, 334)))
    assert world.retrain().decide(later(3590)).request is None
    assert world.retrain().decide(later(3601)).request is not None


def test_a_failed_first_training_waits_for_the_cool_down(world: World) -> None:
    world.load(records(make_days(0, 334)))
    retrain = world.retrain(cooldown_s=600)
    first = retrain.decide(later(6)).request
    assert first is not None
    retrain.finished(first.id, "failed")
    assert "there is no model yet, but the cool-down" in retrain.decide(later(10)).reason


def test_no_run_is_taken_for_lost_by_a_clock_that_was_just_set(world: World) -> None:
    world.point_to(DIGEST)
    judged(world, 0, "quality")
    retrain = world.retrain(doubt="the clock was set by +86401 s")
    first = retrain.decide(now()).request
    assert first is not None
    retrain.launched(first.id, "run-1")
    assert "is still launched" in retrain.decide(later(86_401)).reason
    assert [r.status for r in retrain.requests()] == ["launched"]
