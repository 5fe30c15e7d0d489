"""Rows out of time: what lies in the future silences no monitor, and what comes too late is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlplatform.core.drift.windows import Window
from mlplatform.errors import StateError
from mlplatform.spec.table import TableSpec
from mlplatform_tests.stations.monitored import World, later, make_days, now, open_world, records

SIZE = 10
WINDOW = {"column": "trading_day", "size": SIZE, "lateness_s": 3600.0}
FAR = "2999-12-31"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return open_world(tmp_path)


def future_row() -> list[dict[str, Any]]:
    return [{**records(make_days(0, 1))[0], "trading_day": FAR}]


def let_in(world: World, load: Callable[[], int]) -> None:
    """Load rows of the future, as a table did before it refused them."""
    strict = world.table
    world.table = with_future(strict, None)
    assert load() == 1
    world.table = strict


def with_future(table: TableSpec, future_s: float | None) -> TableSpec:
    return table.model_copy(update={"future_s": future_s})


def test_a_row_of_the_future_is_not_loaded(world: World) -> None:
    assert world.load(future_row()) == 0


def test_a_row_of_the_future_ends_no_window_and_passes_no_shard(world: World) -> None:
    world.deploy(make_days(0, 50))
    monitor = world.monitor(window=WINDOW)
    world.load(records(make_days(50, SIZE - 1)))
    let_in(world, lambda: world.load(future_row()))
    assert monitor.due(later()) == []
    world.load(records(make_days(50 + SIZE - 1, 1)))
    assert monitor.due(later()) == []
    world.load(records(make_days(50 + SIZE, 1)))
    (window,) = monitor.due(later())
    assert (window.first, window.upto) == ("2020-02-20", "2020-02-29")


def test_a_champion_trained_into_the_future_is_a_trouble_and_not_silence(world: World) -> None:
    deployment = world.deploy(make_days(0, 50).assign(trading_day=FAR))
    world.load(records(make_days(50, SIZE + 1)))
    with pytest.raises(
        StateError, match=f"version 1 of {deployment.model} was trained on rows up to trading_day {FAR}"
    ) as told:
        world.monitor(window=WINDOW).due(now())
    assert "Take the rows of the future out of table 'stock_table'" in str(told.value.next_step)
    world.deploy(make_days(0, 50))
    assert len(world.monitor(window=WINDOW).due(now())) == 1


def test_windows_judged_into_the_future_are_a_trouble_too(world: World) -> None:
    deployment = world.deploy(make_days(0, 50))
    world.load(records(make_days(50, SIZE)))
    window = Window(deployment.digest, 0, "2020-02-19", "2020-02-20", FAR, SIZE)
    monitor = world.monitor(window=WINDOW)
    monitor.evaluate(window, now())
    with pytest.raises(StateError, match=f"was judged on rows up to trading_day {FAR}"):
        monitor.due(now())


def test_a_table_that_means_the_future_is_judged_in_it(world: World) -> None:
    world.table = with_future(world.table, None)
    world.deploy(make_days(0, 50))
    world.load(records(make_days(50, SIZE - 1)) + future_row())
    (window,) = world.monitor(window={**WINDOW, "lateness_s": 0.0}).due(later())
    assert window.upto == FAR


def test_rows_that_come_too_late_are_counted_once(world: World) -> None:
    world.load(records(make_days(40, 10)))
    world.deploy(make_days(0, 50))
    monitor = world.monitor(window=WINDOW)
    late = iter(records(make_days(0, 20)))
    world.load(take(late, 2) + records(make_days(50, SIZE + 1)))
    (first,) = monitor.run(now())
    assert (first.late_rows, first.summary()["late_rows"]) == (2, 2)
    assert {c.metadata["late_rows"] for c in first.checks} == {2}
    world.load(take(late, 3) + records(make_days(50 + SIZE + 1, SIZE)))
    (second,) = monitor.run(now())
    assert second.late_rows == 3
    assert [e.late_rows for e in monitor.evaluations()] == [2, 3]


def take(rows: Iterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    return [next(rows) for _ in range(count)]


def test_one_stray_row_that_lies_ahead_of_all_that_come_is_a_trouble_and_not_silence(world: World) -> None:
    stray = make_days(400, 1)
    days = make_days(0, 50)
    world.load(records(days) + records(stray))
    world.deploy(pd.concat([days, stray]))
    monitor = world.monitor(window=WINDOW)
    assert monitor.due(later()) == []
    world.load(records(make_days(50, SIZE)))
    with pytest.raises(StateError, match=r"all that came since \(10 values of trading_day\) lie before it"):
        monitor.due(later())


def test_history_that_is_loaded_later_is_no_trouble(world: World) -> None:
    world.load(records(make_days(100, 50)))
    world.deploy(make_days(100, 50))
    world.load(records(make_days(0, 100)))
    assert world.monitor(window=WINDOW).due(later()) == []


def test_the_future_is_told_by_the_windows_column_whatever_the_event_time(world: World) -> None:
    world.table = world.table.model_copy(update={"event_time": None})
    world.load(records(make_days(0, 50)) + future_row())
    far = pd.DataFrame(future_row())
    world.deploy(pd.concat([make_days(0, 50), far]))
    with pytest.raises(StateError, match="was trained on rows up to trading_day 2999-12-31"):
        world.monitor(window=WINDOW).due(now())
