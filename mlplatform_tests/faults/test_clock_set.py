"""A clock that was set: times of before the step keep nothing waiting, free nothing early, and delete nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.notifications.apprise import AppriseNotifications
from mlplatform.adapters.notifications.sent import CLAIM, SENT
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.components.due_run import due_run
from mlplatform.core.drift.windows import is_closed
from mlplatform.core.retrain import Finding, Policy, Request, decide, may_train_first
from mlplatform.ports.notifications import Notification
from mlplatform.serving.program import Program
from mlplatform.serving.supervisor import Supervisor
from mlplatform.stations.steady_clock import BELIEVED_S, SteadyClock
from mlplatform_tests.cli.commands import make_shell
from mlplatform_tests.components.site import Site
from mlplatform_tests.faults.machine_clock import MachineClock
from mlplatform_tests.faults.walker import Walk, swept
from mlplatform_tests.serving.until import until
from mlplatform_tests.stations.delivery_world import World
from mlplatform_tests.stations.landed import landed

NOW = datetime(2026, 1, 10, tzinfo=UTC)
LATER = NOW + timedelta(days=400)
"""What the clock showed before it was set back."""
FAILED = Finding("m/g1.w4", ("quality",))
POLICY = Policy(("quality",), timedelta(hours=1), 2)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.stream.close()


def test_records_of_the_future_arrived_now_for_whom_the_clock_is_right_again(world: World) -> None:
    world.put(2)
    world.clock.now += timedelta(days=400)
    world.put(2)
    world.clock.now -= timedelta(days=300)
    world.put(1)
    first = world.clock.now - timedelta(days=100)
    arrived = [r.arrived_at for r in world.stream.read("shard-0000")]
    assert arrived == [first, first, *[world.clock.now] * 3]
    assert world.stream.trim(now=world.clock.now + timedelta(hours=23)) == 2
    assert world.stream.trim(now=world.clock.now + timedelta(hours=25)) == 3


def test_a_clock_set_back_for_a_moment_takes_none_of_the_time_that_records_are_kept(world: World) -> None:
    world.put(3)
    world.clock.now -= timedelta(days=2)
    world.put(1)
    world.clock.now += timedelta(days=2, minutes=1)
    world.put(1)
    assert world.stream.trim(now=world.clock.now) == 0
    assert world.stream.trim(now=world.clock.now + timedelta(hours=23, minutes=58)) == 0
    # What was put in that moment goes with what came before it, which was there for a day.
    assert world.stream.trim(now=world.clock.now + timedelta(hours=23, minutes=59, seconds=30)) == 4
    assert world.stream.trim(now=world.clock.now + timedelta(hours=25)) == 1


def test_records_are_kept_by_their_first_arrival_however_often_the_clock_is_set_back(world: World) -> None:
    world.put(2)
    for _ in range(3):
        world.clock.now -= timedelta(days=1)
        world.put(1)
    world.clock.now += timedelta(days=3)
    world.put(1)
    assert world.stream.trim(now=world.clock.now + timedelta(hours=23)) == 0
    assert world.stream.trim(now=world.clock.now + timedelta(hours=25)) == 6


def test_a_clock_that_falls_back_by_seconds_stands_still_for_them(world: World) -> None:
    world.put(1)
    world.clock.now -= timedelta(seconds=30)
    world.put(1)
    assert {r.arrived_at for r in world.stream.read("shard-0000")} == {world.clock.now + timedelta(seconds=30)}


def test_what_a_deliverer_has_seen_for_long_enough_is_due_though_it_arrived_in_the_future(world: World) -> None:
    counted = [0.0]
    world.clock.now += timedelta(days=400)
    world.put(3)
    delivery = world.delivery(clock=lambda: counted[0])
    assert delivery.deliver(NOW) == []
    counted[0] = 9.9
    assert delivery.deliver(NOW) == []
    counted[0] = 10.0
    assert [d.records for d in delivery.deliver(NOW)] == [3]
    assert len(landed(world.store, "prices/stream/")) == 1


def retraining(**changes: object) -> Request:
    made = {"id": "r1", "reason": "", "evaluation_id": "m/g1.w3", "checks": ("quality",), "requested_at": LATER}
    return Request(**{**made, "status": "failed", "finished_at": LATER, **changes})  # type: ignore[arg-type]


def test_a_request_of_the_future_starts_no_cool_down_and_counts_in_no_day() -> None:
    assert decide(FAILED, [retraining(), retraining(id="r2")], now=NOW, policy=POLICY).retrain
    first = retraining(evaluation_id="", basis=("yaml", "rows"))
    assert may_train_first([first], ("yaml", "more rows"), now=NOW, policy=POLICY) == ""


def test_requests_made_since_the_clock_was_set_back_keep_cool_down_and_cap() -> None:
    since = [retraining(), retraining(id="r2", requested_at=NOW, finished_at=NOW)]
    assert "cool-down after request r2" in decide(FAILED, since, now=NOW, policy=POLICY).reason
    since.append(retraining(id="r3", requested_at=NOW, finished_at=NOW - timedelta(hours=2)))
    assert "2 were made in the last 24 hours" in decide(FAILED, since, now=NOW, policy=POLICY).reason


def test_a_window_whose_rows_were_loaded_in_the_future_is_closed() -> None:
    for ahead, closed in ((timedelta(days=400), True), (timedelta(seconds=59), False)):
        found = is_closed(
            newest_load=NOW + ahead,
            passed_by={},
            later_values=False,
            waiting=(),
            now=NOW,
            lateness=timedelta(seconds=60),
        )
        assert found is closed


@pytest.mark.parametrize(("ahead", "taken_over"), [(timedelta(days=400), True), (CLAIM / 2, False)])
def test_a_claim_of_the_future_is_taken_over(tmp_path: Path, ahead: timedelta, taken_over: bool) -> None:
    items = SqliteItemStore(tmp_path / "items.sqlite")
    items.put(SENT, "k", {"state": "sending", "at": (NOW + ahead).isoformat()})
    told = AppriseNotifications(
        items, EnvironmentSecrets({}), log=tmp_path / "log", console=False, now=lambda: NOW
    ).send(Notification("k", "info", "prices", "title", "body"))
    assert told is taken_over


def test_a_run_that_ended_in_the_future_holds_up_no_other() -> None:
    @dg.job
    def load() -> None: ...

    with dg.instance_for_test() as instance:
        tags = {"dagster/sensor_name": "arrivals", "mlplatform/due": "x"}
        run = instance.create_run_for_job(load, status=dg.DagsterRunStatus.STARTED, tags=tags)
        instance.report_run_failed(run)
        asset = dg.AssetKey(["x"])
        assert isinstance(due_run(instance, "arrivals", asset, "x", now=datetime.now(UTC)), dg.SkipReason)
        back = datetime.now(UTC) - timedelta(days=400)
        assert isinstance(due_run(instance, "arrivals", asset, "x", now=back), dg.SensorResult)


def test_a_clock_is_believed_when_it_has_gone_on_for_an_hour() -> None:
    wall, counted = [1e9], [0.0]
    clock = SteadyClock(wall=lambda: wall[0], counted=lambda: counted[0])

    def after(seconds: float, *, step: float = 0.0) -> bool:
        counted[0] += seconds
        wall[0] += seconds + step
        return clock.doubt() == ""

    assert after(100, step=30)
    assert not after(10, step=86_400)
    assert not after(BELIEVED_S - 1)
    assert after(1)
    assert not after(1, step=-86_400)
    assert not after(BELIEVED_S / 2, step=86_400)
    assert not after(BELIEVED_S / 2)
    assert after(BELIEVED_S / 2)


def test_what_waits_by_the_wall_clock_is_restarted_when_that_is_set_back(tmp_path: Path) -> None:
    wall = [1e9]
    command = [sys.executable, "-c", "import time; time.sleep(100)"]
    programs = [Program("timed", command, by_wall_clock=True), Program("other", command)]
    clock = SteadyClock(wall=lambda: wall[0], counted=lambda: 0.0)
    supervisor = Supervisor(programs, run=tmp_path / "run", logs=tmp_path / "logs", wall_clock=clock)

    def restarts() -> list[int]:
        supervisor.step()
        return [p.restarts for p in supervisor.programs]

    supervisor.start()
    try:
        wall[0] += 86_400
        assert restarts() == [0, 0]
        wall[0] -= 7200
        until(lambda: restarts() != [0, 0])
        assert restarts() == [1, 0]
    finally:
        supervisor.stop()


def test_upkeep_leaves_what_a_living_process_works_in_however_old_it_looks(tmp_path: Path) -> None:
    shell = make_shell(tmp_path)
    shell.load_days(0, 2)
    stations = shell.platform().system("stock_prices")
    rows = "SELECT count(*) AS n FROM stock_table"
    assert stations.warehouse().query(rows).to_pylist() == [{"n": 40}]
    scratch = shell.home / "warehouse" / "stock_prices" / "scratch"
    living = set(scratch.iterdir())
    (scratch / "999999999-1-abandoned").mkdir()
    shell.platform().system("stock_prices").maintenance("warehouse").run(datetime.now(UTC) + timedelta(days=400))
    assert living <= set(scratch.iterdir())
    assert not (scratch / "999999999-1-abandoned").exists()


def test_a_run_that_lives_is_not_swept_after_the_clock_was_set_ahead(tmp_path: Path) -> None:
    # What the run wrote down is a day behind this process's clock, and so is older than the process that wrote it.
    behind = MachineClock(tmp_path / "clock")
    behind.set(timedelta(days=-1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPLATFORM_HOME", "")  # put back at the end
        site = Site.make(tmp_path / "site")
        site.put_days(0, 2)
        site.platform.asset_events.prepare()
        site.enter()
        walk = Walk(site, "load", env=behind.env).upto("stock_table", ("stock_table",))
        assert site.platform.asset_events.sweep() == []
        walk.kill()
        assert len(swept(site)) == 1
        site.close()


def test_a_wait_ends_in_its_time_though_the_clock_is_set_meanwhile(tmp_path: Path) -> None:
    clock = MachineClock(tmp_path)
    code = "import time; print(time.time()); input(); print(time.time()); time.sleep(0.01); print(time.monotonic())"
    command = [sys.executable, "-u", "-c", code]
    env = {**os.environ, **clock.env}
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        before = float(process.stdout.readline())
        clock.set(timedelta(days=400))
        out, _ = process.communicate("\n", timeout=60)
    after, monotonic = map(float, out.split())
    assert round((after - before) / 86_400) == 400
    assert monotonic <= time.monotonic()
    until(lambda: process.returncode == 0)
