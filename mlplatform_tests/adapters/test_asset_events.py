"""Dagster's event log without a run: how evidence is shown, and which runs a sweep ends."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from mlplatform.adapters.asset_events.dagster import DagsterAssetEvents
from mlplatform.adapters.asset_events.shown import MAX_ROWS, shown
from mlplatform.ports.asset_events import CheckOutcome

KEY = ("prices", "table")


@pytest.mark.parametrize(
    ("value", "kind", "content"),
    [
        (7, dg.IntMetadataValue, 7),
        (True, dg.BoolMetadataValue, True),
        (0.5, dg.FloatMetadataValue, 0.5),
        ("short", dg.TextMetadataValue, "short"),
        ("two\nlines", dg.MarkdownMetadataValue, "two\nlines"),
        ("x" * 300, dg.MarkdownMetadataValue, "x" * 300),
        ("http://127.0.0.1:8712/#/runs/1", dg.UrlMetadataValue, "http://127.0.0.1:8712/#/runs/1"),
        ("http://no address, but words", dg.TextMetadataValue, "http://no address, but words"),
        ("/home/reports/index.html", dg.PathMetadataValue, "/home/reports/index.html"),
        (date(2020, 6, 30), dg.TextMetadataValue, "2020-06-30"),
        (["a", date(2020, 6, 30)], dg.JsonMetadataValue, ["a", "2020-06-30"]),
        ([], dg.JsonMetadataValue, []),
        ({"a": (1, 2)}, dg.JsonMetadataValue, {"a": [1, 2]}),
        (None, dg.NullMetadataValue, None),
    ],
)
def test_evidence_is_shown_as_what_it_is(value: object, kind: type[dg.MetadataValue[Any]], content: object) -> None:
    found = shown({"it": value})["it"]
    assert (type(found), found.value) == (kind, content)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (0.8046760585955643, 0.804676),
        (-36.66638086351118, -36.6664),
        (1234567.89, 1234568.0),
        (2.4e-9 / 7, 3.42857e-10),
        (0.0, 0.0),
        (math.inf, math.inf),
    ],
)
def test_numbers_are_short_and_never_lose_their_whole_part(value: float, seen: float) -> None:
    assert shown({"it": value})["it"].value == seen
    table = shown({"rows": [{"it": value}]})["rows"]
    assert isinstance(table, dg.TableMetadataValue)
    assert table.records[0].data["it"] == seen


def test_a_list_of_rows_is_a_table_with_every_column_any_row_has() -> None:
    rows = [{"sector": "Energy", "r2": 1}, {"sector": "Health", "r2": 0.5, "worst": [1, 2], "passed": True}]
    found = shown({"segments": rows})["segments"]
    assert isinstance(found, dg.TableMetadataValue)
    assert [(c.name, c.type) for c in found.schema.columns] == [
        ("sector", "string"),
        ("r2", "float"),
        ("worst", "string"),
        ("passed", "bool"),
    ]
    assert [r.data for r in found.records] == [
        {"sector": "Energy", "r2": 1, "worst": None, "passed": None},
        {"sector": "Health", "r2": 0.5, "worst": "[1, 2]", "passed": True},
    ]


def test_a_long_table_is_cut() -> None:
    found = shown({"rows": [{"n": n} for n in range(MAX_ROWS + 5)]})["rows"]
    assert isinstance(found, dg.TableMetadataValue)
    assert [r.data["n"] for r in found.records] == list(range(MAX_ROWS))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    DagsterAssetEvents(tmp_path / "dagster", Path("dagster.yaml")).prepare()
    return tmp_path / "dagster"


def test_a_report_without_a_run_shows_its_checks_rows_as_a_table(home: Path) -> None:
    events = DagsterAssetEvents(home, Path("dagster.yaml"))
    check = CheckOutcome("quality", True, False, {"segments": [{"sector": "Energy", "r2": 0.9}]}, "R² .9")
    events.materialized(KEY, metadata={"reports": "https://example.org/reports"}, checks=[check])
    with dg.DagsterInstance.from_config(str(home)) as instance:
        latest = instance.get_latest_materialization_event(dg.AssetKey(KEY))
        assert latest is not None
        assert latest.asset_materialization is not None
        assert latest.asset_materialization.metadata["reports"] == dg.MetadataValue.url("https://example.org/reports")
        record = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(dg.AssetKey(KEY), "quality"))
        assert record is not None
        assert record.event is not None
        evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
        segments = evaluation.metadata["segments"]
        assert isinstance(segments, dg.TableMetadataValue)
        assert segments.records[0].data == {"sector": "Energy", "r2": 0.9}
        assert evaluation.description == "R² .9"


RUN = """
import sys, dagster as dg
@dg.op
def step():
    print("started", flush=True)
    sys.stdin.readline()
@dg.job(executor_def=dg.in_process_executor)
def job():
    step()
"""


def test_a_sweep_ends_runs_whose_process_is_gone_and_no_other(home: Path, tmp_path: Path) -> None:
    (tmp_path / "swept_job.py").write_text(RUN)
    program = (
        "import dagster as dg, swept_job\n"
        f"with dg.DagsterInstance.from_config({str(home)!r}) as instance:\n"
        "    dg.execute_job(dg.reconstructable(swept_job.job), instance=instance)\n"
    )
    command = [sys.executable, "-c", program]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    processes = [
        subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for _ in range(2)
    ]
    events = DagsterAssetEvents(home, Path("dagster.yaml"))
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
        assert events.sweep() == []
        processes[0].kill()
        processes[0].wait()
        (swept,) = events.sweep()
        assert events.sweep() == []
        processes[1].communicate("\n", timeout=60)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        found = {r.run_id: r.status for r in instance.get_runs()}
    assert found.pop(swept) is dg.DagsterRunStatus.FAILURE
    assert list(found.values()) == [dg.DagsterRunStatus.SUCCESS]


def test_what_was_evaluated_in_the_future_is_brought_back_to_now(home: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    ahead = (now + timedelta(days=400)).timestamp()
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="m"), "m"), "r"), "nightly"
    )
    data = SensorInstigatorData(last_tick_timestamp=ahead, last_tick_start_timestamp=5.0, cursor="c")
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_instigator_state(state)
        instance.create_tick(
            TickData(
                state.instigator_origin_id,
                "nightly",
                InstigatorType.SENSOR,
                TickStatus.SUCCESS,
                ahead,
                run_ids=[],
                run_keys=[],
                selector_id=state.selector_id,
            )
        )
    events = DagsterAssetEvents(home, Path("dagster.yaml"))
    assert events.bring_back(now) == ["nightly"]
    assert events.bring_back(now) == []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (found,) = instance.all_instigator_state()
        assert found.instigator_data == data._replace(last_tick_timestamp=now.timestamp())
        (tick,) = instance.get_ticks(state.instigator_origin_id, state.selector_id)
        assert tick.timestamp == now.timestamp()
