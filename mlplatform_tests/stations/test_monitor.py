"""Windows judged once each, for the champion that serves; drift and quality as checks, with reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlplatform.core.capture.record import CapturedPrediction, CapturedRequest, capture_schema, landing_lines
from mlplatform.core.drift.profile import Profile
from mlplatform.core.loads.plan import JsonLinesFormat, LoadPlan
from mlplatform.errors import ConflictError, SpecError, StateError
from mlplatform_tests.stations.monitored import INPUTS, World, later, make_days, now, open_world, records

SIZE = 10
WINDOW = {"column": "trading_day", "size": SIZE, "lateness_s": 5.0}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return open_world(tmp_path)


def loaded(world: World, first: int, count: int, **changes: float) -> None:
    world.load(records(make_days(first, count, **changes)))


def test_nothing_is_due_where_nothing_is_deployed(world: World) -> None:
    loaded(world, 0, 30)
    monitor = world.monitor(window=WINDOW)
    assert monitor.due(later()) == []
    assert monitor.latest() is None


def test_windows_start_behind_the_champions_training_rows(world: World) -> None:
    loaded(world, 0, 72)
    world.deploy(make_days(0, 50))
    windows = world.monitor(window=WINDOW).due(later())
    assert [(w.first, w.upto, w.index) for w in windows] == [
        ("2020-02-20", "2020-02-29", 0),
        ("2020-03-01", "2020-03-10", 1),
    ]
    assert windows[0].after == "2020-02-19"


def test_a_window_waits_until_its_last_day_is_complete(world: World) -> None:
    world.deploy(make_days(0, 50))
    monitor = world.monitor(window=WINDOW)
    loaded(world, 50, SIZE - 1)
    assert monitor.due(later()) == []
    before = now()
    loaded(world, 50 + SIZE - 1, 1)
    assert monitor.due(before) == []
    assert len(monitor.due(now() + timedelta(seconds=5.5))) == 1
    loaded(world, 50 + SIZE, 1)
    assert len(monitor.due(now())) == 1


def test_a_shard_that_lags_keeps_the_window_open(world: World) -> None:
    world.deploy(make_days(0, 50))
    monitor = world.monitor(window=WINDOW)
    days, before = records(make_days(50, SIZE + 2)), now()
    world.load([r for r in days if r["ticker_symbol"] == "AAPL"], shard="0")
    world.load([r for r in days[:-9] if r["ticker_symbol"] != "AAPL"], shard="1")
    assert monitor.due(before) == []
    world.load([r for r in days[-9:] if r["ticker_symbol"] != "AAPL"], shard="1")
    (evaluation,) = monitor.run(now())
    assert evaluation.rows == 3 * SIZE


def test_a_window_waits_for_what_came_in_its_time_however_long_that_takes_to_load(world: World) -> None:
    world.deploy(make_days(0, 50))
    behind = {"stream/stock_stream/1"}
    asked: list[datetime] = []

    def waiting(by: datetime) -> set[str]:
        asked.append(by)
        return behind

    world.waiting = waiting
    monitor, began = world.monitor(window=WINDOW), now()
    world.load([r for r in records(make_days(50, SIZE)) if r["ticker_symbol"] == "AAPL"], shard="0")
    assert monitor.due(now() + timedelta(minutes=10)) == []
    behind.clear()
    assert len(monitor.due(now() + timedelta(minutes=10))) == 1
    # What comes when the window has been quiet for its lateness is not waited for.
    assert all(began + timedelta(seconds=5) <= by <= now() + timedelta(seconds=5) for by in asked)


def test_a_good_window_passes_with_evidence(world: World) -> None:
    deployment = world.deploy(make_days(0, 50), rounds=60)
    loaded(world, 50, SIZE + 1)
    (evaluation,) = world.monitor(window=WINDOW, quality={**world.spec.quality.model_dump(), "minimum_rows": 20}).run(
        now()
    )
    assert (evaluation.passed, evaluation.failed, evaluation.rows, evaluation.judged_rows) == (True, (), 30, 30)
    assert (evaluation.generation, evaluation.version, evaluation.digest) == (1, 1, deployment.digest)
    assert evaluation.id == "stock_prices/stock_monitor/g000001.w000000"
    assert evaluation.quality is not None
    assert evaluation.quality > 0.95
    checks = {c.name: c for c in evaluation.checks}
    assert list(checks) == ["quality", "drift_ticker_symbol", "drift_sector", "drift_change", "corrections"]
    assert checks["quality"].metadata["segments"][0]["segment"] == "sector"
    assert checks["drift_change"].metadata["statistic"] == "psi"
    with world.store.open(f"{evaluation.reports}model_quality/statistics.json") as stream:
        assert json.load(stream)["regression_metrics"]["r2"]["value"] == evaluation.quality
    assert evaluation.summary()["r2"] == evaluation.quality


def test_moved_features_fail_drift_and_wrong_answers_fail_quality(world: World) -> None:
    world.deploy(make_days(0, 50), rounds=60)
    loaded(world, 50, SIZE + 1, shift=40.0)
    (evaluation,) = world.monitor(window=WINDOW, quality={**world.spec.quality.model_dump(), "minimum_rows": 20}).run(
        now()
    )
    assert evaluation.failed == ("quality", "drift")
    checks = {c.name: c for c in evaluation.checks}
    assert {name: c.passed for name, c in checks.items()} == {
        "quality": False,
        "drift_ticker_symbol": True,
        "drift_sector": True,
        "drift_change": False,
        "corrections": True,
    }
    assert "population stability index" in checks["drift_change"].description
    assert [d["feature"] for d in evaluation.drift if not d["passed"]] == ["change"]


def test_reports_are_written_in_sagemakers_formats(world: World) -> None:
    world.deploy(make_days(0, 50))
    loaded(world, 50, SIZE + 1, shift=40.0)
    (evaluation,) = world.monitor(window=WINDOW).run(now())
    found = {info.key.rpartition("/")[2] for info in world.store.list(evaluation.reports)}
    assert found == {"statistics.json", "constraints.json", "constraint_violations.json", "evaluation.json"}
    with world.store.open(f"{evaluation.reports}constraint_violations.json") as stream:
        (violation,) = json.load(stream)["violations"]
    assert (violation["feature_name"], violation["constraint_check_type"]) == ("change", "baseline_drift_check")
    with world.store.open(f"{evaluation.reports}statistics.json") as stream:
        assert json.load(stream)["dataset"] == {"item_count": 30}


def test_a_window_is_judged_once_whoever_asks(world: World) -> None:
    world.deploy(make_days(0, 50))
    loaded(world, 50, SIZE + 1)
    one, other = world.monitor(window=WINDOW), world.monitor(window=WINDOW)
    (window,) = one.due(now())
    assert other.due(now()) == [window]
    first = one.evaluate(window, now())
    second = other.evaluate(window, later())
    assert second.judged_at == first.judged_at
    assert one.due(later()) == other.due(later()) == []
    assert [e.id for e in one.evaluations()] == [first.id]


def test_evaluations_come_back_as_they_were_stored(world: World) -> None:
    world.deploy(make_days(0, 50))
    loaded(world, 50, 2 * SIZE + 1)
    made = world.monitor(window=WINDOW).run(now())
    assert json.dumps([e.to_json() for e in world.monitor().evaluations()]) == json.dumps([e.to_json() for e in made])
    assert world.monitor().latest().id.endswith("w000001")


def test_a_new_champion_is_judged_from_the_end_of_its_own_training_rows(world: World) -> None:
    world.deploy(make_days(0, 50))
    loaded(world, 50, 45)
    monitor = world.monitor(window=WINDOW)
    assert len(monitor.run(now())) == 4
    deployment = world.deploy(make_days(20, 60))
    (evaluation,) = monitor.run(now())
    assert (evaluation.digest, evaluation.window.index, evaluation.window.first) == (deployment.digest, 0, "2020-03-21")


def test_rolling_back_judges_no_window_twice(world: World) -> None:
    first = world.deploy(make_days(0, 50))
    loaded(world, 50, 25)
    monitor = world.monitor(window=WINDOW)
    assert len(monitor.run(now())) == 2
    world.deploy(make_days(20, 50))
    world.point_to(first.digest)
    assert monitor.due(now()) == []
    loaded(world, 75, 10)
    (evaluation,) = world.monitor(window=WINDOW).run(now())
    assert evaluation.id == "stock_prices/stock_monitor/g000003.w000002"


def test_a_window_of_another_model_is_refused(world: World) -> None:
    world.deploy(make_days(0, 50))
    loaded(world, 50, SIZE + 1)
    monitor = world.monitor(window=WINDOW)
    (window,) = monitor.due(now())
    world.deploy(make_days(5, 50))
    with pytest.raises(ConflictError, match="Ask again which windows are due"):
        monitor.evaluate(window, now())


def test_windows_of_a_champion_that_goes_while_they_are_judged_are_left(world: World) -> None:
    world.deploy(make_days(0, 50))
    loaded(world, 50, 2 * SIZE + 1)
    judging = world.monitor(window=WINDOW).judge(now())
    assert next(judging).window.first == "2020-02-20"
    newer = world.deploy(make_days(5, 50))
    assert list(judging) == []
    assert [w.model for w in world.monitor(window=WINDOW).due(now())] == [newer.digest]


def test_what_was_judged_and_not_told_is_told_by_the_next_process_once(world: World) -> None:
    world.deploy(make_days(0, 50))
    loaded(world, 50, 2 * SIZE + 1)
    assert world.monitor(window=WINDOW).untold() == []
    judged = world.monitor(window=WINDOW).run(now())
    next_process = world.monitor(window=WINDOW)
    assert [e.id for e in next_process.untold()] == [e.id for e in judged]
    next_process.told(judged[0])
    assert [e.id for e in next_process.untold()] == [judged[1].id]
    next_process.told(judged[1])
    assert world.monitor(window=WINDOW).untold() == []


def test_a_package_without_a_baseline_is_named(world: World) -> None:
    world.deploy(make_days(0, 50), baseline=False)
    loaded(world, 50, SIZE + 1)
    with pytest.raises(StateError, match=r"stock_model version 1 has no 'baseline.json' to judge drift against"):
        world.monitor(window=WINDOW).run(now())


def test_a_baseline_of_the_table_is_that_of_the_training_job(world: World) -> None:
    deployment = world.deploy(make_days(0, 50))
    loaded(world, 0, 50)
    package = world.tracking.package(deployment.model, deployment.digest)
    stored = Profile.from_json(json.loads((package / "baseline.json").read_text()))
    taken = world.monitor().baseline('"stock_table"')
    assert [f.histogram() for f in taken.features] == [f.histogram() for f in stored.features]


def test_rows_that_the_champion_refuses_fail_quality_and_say_why(world: World) -> None:
    strict = tuple(replace(f, unseen="refuse") for f in INPUTS)
    world.deploy(make_days(0, 50), inputs=strict)
    world.load(records(make_days(50, SIZE + 1, tickers=("AAPL", "NEW"))))
    (evaluation,) = world.monitor(window=WINDOW).run(now())
    assert evaluation.failed == ("quality", "drift")
    assert evaluation.quality is None
    assert "the champion refuses rows that arrive: " in evaluation.checks[0].description
    assert "'NEW'" in evaluation.checks[0].description
    ticker = next(c for c in evaluation.checks if c.name == "drift_ticker_symbol")
    assert ticker.metadata["new_categories"] == ["NEW"]
    assert ticker.description.endswith("; new: NEW")
    assert world.monitor(window=WINDOW).due(later()) == []


def test_too_few_rows_are_not_judged_and_fail_nothing(world: World) -> None:
    world.deploy(make_days(0, 50))
    loaded(world, 50, SIZE + 1)
    (evaluation,) = world.monitor(window=WINDOW).run(now())
    assert evaluation.quality is None
    assert evaluation.passed
    assert evaluation.checks[0].description == "not judged: 30 rows have a truth and a prediction, 50 are needed"


def test_a_monitor_over_another_column_than_its_features_says_so(world: World) -> None:
    world.deploy(make_days(0, 50))
    loaded(world, 50, SIZE + 1)
    monitor = world.monitor(window={**WINDOW, "column": "ticker_symbol"})
    with pytest.raises(SpecError, match=r"windows over 'ticker_symbol'.*has one over 'trading_day'"):
        monitor.due(now())


def test_quality_of_captured_predictions_is_of_what_was_answered(world: World) -> None:
    deployment = world.deploy(make_days(0, 50))
    days = make_days(50, SIZE + 1)
    world.load(records(days))
    answers = [
        answer(k, deployment.digest, row, row["price"] + (100.0 if row["ticker_symbol"] == "XOM" else 0.0))
        for k, row in enumerate(records(days))
    ]
    answers += [
        answer(900, "e" * 64, records(days)[0], 0.0),
        answer(901, deployment.digest, {"ticker_symbol": "X"}, 0.0),
    ]
    load_capture(world, answers)
    quality = {"metric": "mae", "threshold": 10, "predictions": "captured", "minimum_rows": 10}
    (evaluation,) = world.monitor(window=WINDOW, quality=quality).run(now())
    assert evaluation.quality == pytest.approx(100 / 3)
    assert (evaluation.judged_rows, evaluation.failed) == (30, ("quality",))


def test_of_several_answers_for_one_row_the_newest_counts(world: World) -> None:
    deployment = world.deploy(make_days(0, 50))
    days = records(make_days(50, SIZE + 1))
    world.load(days)
    load_capture(
        world,
        [answer(2 * k + n, deployment.digest, row, row["price"] - n) for k, row in enumerate(days) for n in (0, 1)],
    )
    quality = {"metric": "mae", "threshold": 10, "predictions": "captured", "minimum_rows": 10}
    (evaluation,) = world.monitor(window=WINDOW, quality=quality).run(now())
    assert (evaluation.quality, evaluation.judged_rows) == (pytest.approx(1.0), 30)


def answer(number: int, digest: str, row: Mapping[str, Any], prediction: float) -> CapturedRequest:
    """One captured request of one row, `number` seconds into an hour."""
    return CapturedRequest(
        sequence=number + 1,
        captured_at=f"2026-01-01T00:{number // 60:02}:{number % 60:02}+00:00",
        inference_id=f"i{number}",
        request_id=f"r{number}",
        endpoint="stock_prices",
        variant="main",
        generation=1,
        version=1,
        digest=digest,
        content_type="application/json",
        rows=[
            {"ticker_symbol": row["ticker_symbol"], "change": row.get("change"), "trading_day": row.get("trading_day")}
        ],
        predictions=[CapturedPrediction(prediction)],
    )


def load_capture(world: World, requests: list[CapturedRequest]) -> None:
    """Load captured requests into their table, as its ingest does."""
    schema = capture_schema("stock_prices", regression=True)
    world.warehouse.create(schema)
    lines = b"".join(landing_lines(r, keys=frozenset(world.endpoint.keys)) for r in requests)
    info = world.store.put("capture/one.jsonl", lines)
    guard = world.warehouse.guard(schema.name, "objects/capture/")
    plan = LoadPlan(
        schema.name, guard.shard, guard.last, "1", guard.epoch, info.key, info.etag, info.size_bytes, JsonLinesFormat()
    )
    assert world.warehouse.load(plan, schema, world.store).loaded == sum(len(r.rows) for r in requests)
