"""What came late, was corrected or erased after a training is judged, and asks for another where the monitor says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.stations.evaluation import Evaluation
from mlplatform_tests.stations.monitored import World, later, make_days, open_world

WINDOW = {"column": "trading_day", "size": 10, "lateness_s": 0.0}
WATCHED: dict[str, Any] = {
    "window": WINDOW,
    "quality": None,
    "drift": None,
    "retrain": {"checks": ["corrections"]},
    "corrections": {"max_share": 0.05},
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A model trained on 50 days of three tickers that lie in the table, whose 30 first are before the window."""
    world = open_world(tmp_path)
    world.load(make_days(0, 80).to_dict("records"))
    world.deploy(make_days(30, 50))
    return world


def judged(world: World) -> tuple[Evaluation, CheckOutcome]:
    world.load(make_days(80, 11).to_dict("records"))
    (evaluation,) = world.monitor(**WATCHED).run(later())
    (check,) = evaluation.checks
    return evaluation, check


def test_rows_that_stay_as_they_were_pass(world: World) -> None:
    evaluation, check = judged(world)
    assert evaluation.failed == ()
    assert check.passed
    assert check.metadata["share"] == 0.0


def test_rows_of_the_training_window_that_come_late_fail_and_ask_for_a_retraining(world: World) -> None:
    world.load(make_days(40, 10, tickers=("LATE",)).to_dict("records"))
    evaluation, check = judged(world)
    assert evaluation.failed == ("corrections",)
    assert (check.metadata["late_or_corrected_rows"], check.metadata["trained_rows"]) == (10, 150)
    assert (
        "10 rows of its training window came late or were corrected since, 0 were erased: 6.67% of 150"
        in check.description
    )
    spec = MonitorSpec.model_validate({**world.spec.model_dump(), **WATCHED})
    assert spec.retrain is not None
    decided = world.retrain(**spec.retrain.model_dump()).decide(later())
    assert decided.request is not None
    assert decided.request.checks == ("corrections",)


def test_a_load_that_began_before_the_training_and_ended_behind_it_counts(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    world.load(make_days(0, 80).to_dict("records"))
    slow = make_days(40, 10, tickers=("SLOW",)).to_dict("records")
    assert world.load(slow, meanwhile=lambda: world.deploy(make_days(30, 50))) == 10
    evaluation, check = judged(world)
    assert evaluation.failed == ("corrections",)
    assert check.metadata["late_or_corrected_rows"] == 10


def test_a_snapshot_that_names_no_position_is_judged_by_its_time(world: World) -> None:
    with world.store.open("unload/0/manifest.json") as stream:
        manifest = json.loads(stream.read())
    world.store.put("unload/0/manifest.json", json.dumps({**manifest, "positions": None}).encode())
    world.load(make_days(40, 10, tickers=("LATE",)).to_dict("records"))
    assert judged(world)[1].metadata["late_or_corrected_rows"] == 10


def test_history_before_the_training_window_is_no_correction(world: World) -> None:
    world.load(make_days(0, 30, tickers=("OLD",)).to_dict("records"))
    assert judged(world)[1].metadata["late_or_corrected_rows"] == 0


def test_erased_rows_count_too(world: World) -> None:
    with world.store.open("unload/0/manifest.json") as stream:
        manifest = json.loads(stream.read())
    note = {"erasure": "e", "at": "2026-01-01T00:00:00+00:00", "rows": 50}
    world.store.put("unload/0/manifest.json", json.dumps({**manifest, "erased": [note]}).encode())
    evaluation, check = judged(world)
    assert evaluation.failed == ("corrections",)
    assert check.metadata["erased_rows"] == 50


def test_a_snapshot_that_does_not_say_when_it_was_built_is_not_judged(world: World) -> None:
    with world.store.open("unload/0/manifest.json") as stream:
        manifest = json.loads(stream.read())
    world.store.put("unload/0/manifest.json", json.dumps({"channels": manifest["channels"]}).encode())
    _, check = judged(world)
    assert check.passed
    assert check.description.startswith("not judged")


def test_a_retraining_on_corrections_needs_the_check() -> None:
    with pytest.raises(ValueError, match="retrain on 'corrections', but the monitor has no 'corrections'"):
        MonitorSpec.model_validate(
            {"name": "m", "endpoint": "e", "table": "t", "window": WINDOW, "retrain": {"checks": ["corrections"]}}
        )
