"""The worker as a process: what is put becomes rows, whatever ends it; one broken table or system stops no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

import mlplatform
from mlplatform.platform import Platform, open_platform
from mlplatform.stations.steady_clock import SteadyClock
from mlplatform.worker.main import arrivals, make_lanes
from mlplatform.worker.reporter import Reporter
from mlplatform_tests.serving.until import until

PATIENCE_S = 90.0
COLUMNS: list[dict[str, Any]] = [{"name": "ticker", "nullable": False}, {"name": "price", "type": "double"}]


def stream_and_table(prefix: str, columns: Sequence[dict[str, Any]] = COLUMNS) -> list[dict[str, Any]]:
    """A system of a stream and a table of what it delivers, and of files."""
    delivery = {"prefix": f"{prefix}/stream/", "max_age_s": 1}
    sources = [{"stream": "ticks"}, {"prefix": f"{prefix}/files/", "suffix": ".csv"}]
    stream = {"name": "ticks", "partition_key": "ticker", "shards": 2, "delivery": delivery}
    table = {"name": "prices", "columns": list(columns), "sources": sources}
    return [{"type": "mlplatform.Stream", "attributes": stream}, {"type": "mlplatform.Table", "attributes": table}]


class World:
    """A home with systems `good` and `other`, and the worker that works on them."""

    def __init__(self, root: Path) -> None:
        self.defs, self.home = root / "defs", root / "home"
        self.log = root / "worker.log"
        self.env = {**os.environ, "MLPLATFORM_HOME": str(self.home), "MLPLATFORM_DEFS": str(self.defs)}
        for name in ("good", "other"):
            self.write(name, stream_and_table(name))
        # As `mlplatform serve` does: what several processes would make at once is made before.
        platform = self.platform
        platform.asset_events.prepare()
        for name in ("good", "other"):
            platform.system(name).prepare()

    def write(self, system: str, documents: list[dict[str, Any]]) -> None:
        folder = self.defs / system
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "defs.yaml").write_text(yaml.safe_dump_all(documents), "utf-8")

    @property
    def platform(self) -> Platform:
        return open_platform(self.env)

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker at work; killed at the end if it still is."""
        command = [sys.executable, "-m", "mlplatform.worker.main"]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        try:
            until(lambda: self.beat().get("pid") == process.pid or process.poll() is not None, timeout_s=PATIENCE_S)
            assert process.poll() is None, self.log.read_text()[-3000:]
            yield process
        finally:
            process.kill()
            process.wait()

    def beat(self) -> dict[str, Any]:
        item = self.platform.items.get("workers", "worker")
        return dict(item.value) if item is not None else {}

    def put(self, system: str, first: int, last: int) -> None:
        """Put records on a system's stream."""
        records = [json.dumps({"ticker": f"T{n % 7}", "price": float(n)}).encode() for n in range(first, last)]
        assert all(not r.error_code for r in self.platform.system(system).producer("ticks").put(records))

    def drop(self, system: str, name: str, rows: int) -> None:
        """Put a CSV file under a system's prefix."""
        lines = ["ticker,price", *(f"F{n % 3},{n}" for n in range(rows))]
        self.platform.store.put(f"{system}/files/{name}.csv", "\n".join(lines).encode())

    def rows(self, system: str) -> tuple[int, int]:
        """Rows of a system's table, and how many different ones."""
        stations = self.platform.system(system)
        stations.ingest("prices").create()
        (found,) = (
            stations.warehouse()
            .query("SELECT count(*) AS rows, count(DISTINCT (ticker, price)) AS different FROM prices")
            .to_pylist()
        )
        return found["rows"], found["different"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_records_and_files_become_rows_and_a_clean_end_reports_them(world: World) -> None:
    with world.worker() as process:
        world.put("good", 0, 200)
        world.drop("good", "a", 30)
        until(lambda: world.rows("good") == (230, 230), timeout_s=PATIENCE_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert world.beat() == {}
    assert not world.platform.worker_alive()
    with dg.DagsterInstance.from_config(str(world.home / "dagster")) as instance:
        for asset, name, values in (
            ("prices", "dagster/row_count", {230}),
            ("ticks_landing", "records", range(1, 201)),
        ):
            event = instance.get_latest_materialization_event(dg.AssetKey(["good", asset]))
            assert event is not None
            assert event.asset_materialization is not None
            assert event.asset_materialization.metadata[name].value in values
        key = dg.AssetCheckKey(dg.AssetKey(["good", "prices"]), "receipts_balance")
        record = instance.get_latest_asset_check_evaluation_record(key)
        assert record is not None
        assert record.event is not None
        assert record.event.dagster_event.asset_check_evaluation_data.passed  # type: ignore[union-attr]


def test_a_worker_killed_again_and_again_loses_and_doubles_nothing(world: World) -> None:
    for n in range(3):
        with world.worker() as process:
            before = world.rows("good")[0]
            world.put("good", n * 400, (n + 1) * 400)
            world.drop("good", f"f{n}", 10 * (n + 1))
            if n:  # the first one is killed at once
                until(lambda seen=before: world.rows("good")[0] > seen, timeout_s=PATIENCE_S)  # type: ignore[misc]
            process.kill()
    with world.worker():
        # The files' rows are the same from file to file: 10, 20 and 30 of them, 30 different.
        until(lambda: world.rows("good") == (1260, 1230), timeout_s=PATIENCE_S)
        world.put("good", 1200, 1210)
        until(lambda: world.rows("good") == (1270, 1240), timeout_s=PATIENCE_S)


def test_one_broken_table_stops_no_other_and_is_told(world: World) -> None:
    # The table of `other` was made with text where its YAML now wants a number.
    world.write("other", stream_and_table("other", [{"name": "ticker", "nullable": False}, {"name": "price"}]))
    world.platform.system("other").ingest("prices").create()
    world.write("other", stream_and_table("other"))
    with world.worker():
        world.put("good", 0, 50)
        world.put("other", 0, 50)
        until(lambda: world.rows("good") == (50, 50), timeout_s=PATIENCE_S)
        until(lambda: world.beat().get("troubles"), timeout_s=PATIENCE_S)
        troubles = world.beat()["troubles"]
        assert list(troubles) == ["load other/prices"]
        assert "price" in troubles["load other/prices"]
        # Its stream is delivered all the same, if not always before the table's trouble is told.
        until(lambda: list(world.platform.store.list("other/stream/")), timeout_s=PATIENCE_S)


def test_a_system_whose_warehouse_is_not_there_stops_no_other(world: World) -> None:
    documents = stream_and_table("other")
    documents[1]["attributes"]["connection"] = "lake"
    world.write("other", documents)
    with world.worker():
        world.put("good", 0, 50)
        until(lambda: world.rows("good") == (50, 50), timeout_s=PATIENCE_S)
        until(lambda: "load other/prices" in world.beat().get("troubles", {}), timeout_s=PATIENCE_S)
        assert "has no connection 'lake'" in world.beat()["troubles"]["load other/prices"]


def test_a_worker_without_a_profile_ends_with_the_errors_exit_code(world: World) -> None:
    command = [sys.executable, "-m", "mlplatform.worker.main"]
    env = {**world.env, "MLPLATFORM_PROFILE": "none-such"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode not in (0, 1)
    assert "There is no profile 'none-such'" in done.stderr
    assert "Traceback" not in done.stderr


def lanes_under(world: World, profile: dict[str, Any]) -> dict[str, list[str]]:
    """The worker's lanes, each with the kinds of its tasks."""
    folder = world.home.parent / "profiles"
    folder.mkdir(exist_ok=True)
    (folder.parent / "pyproject.toml").write_text("[tool.dg.project]\n", "utf-8")
    (folder / f"{profile['name']}.yaml").write_text(yaml.safe_dump(profile), "utf-8")
    env = {
        **world.env,
        "MLPLATFORM_PROFILE": profile["name"],
        "MLPLATFORM_HOME": str(world.home.parent / profile["name"]),
    }
    opened: list[Platform] = []

    def another() -> Platform:
        opened.append(open_platform(env))
        return opened[-1]

    lanes = make_lanes(another, Reporter(lambda: opened[0].asset_events, 60), SteadyClock(), threading.Event())
    assert len(opened) == len(lanes)
    for platform in opened:
        platform.close()
    return {lane.name: sorted({task.name.partition(" ")[0] for task in lane.tasks}) for lane in lanes}


def test_another_service_is_asked_for_deployments_only_where_one_serves(world: World) -> None:
    here = yaml.safe_load((Path(mlplatform.__file__).parents[1] / "profiles" / "local.yaml").read_text("utf-8"))
    # A connection that cannot be made stops the tasks that need it, and nothing else.
    there = {
        **here,
        "name": "there",
        "connections": {**here["connections"], "endpoints": {"port": "endpoints", "adapter": "sagemaker"}},
    }
    working = {"arrivals": ["deliver", "housekeeping", "load", "upkeep"], "watching": []}
    assert lanes_under(world, {**here, "name": "here"}) == working
    assert lanes_under(world, there) == {**working, "serving": []}


def test_each_warehouse_is_looked_after_once_a_minute_since_a_stream_leaves_thousands_of_files_an_hour(
    world: World,
) -> None:
    platform = world.platform
    tasks = {t.name: t for t in arrivals(platform, Reporter(lambda: platform.asset_events, 60), SteadyClock())}
    upkeep = [tasks[f"upkeep {system}/warehouse"] for system in ("good", "other")]
    assert [t.every_s for t in upkeep] == [60.0, 60.0]
    assert [t.work() for t in upkeep] == [False, False]
    platform.close()
