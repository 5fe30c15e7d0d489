"""The same warehouse on a server with two executor processes: both do the work, and what is stuck is stopped with its process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import TimedOutError
from mlplatform_tests.conformance.hive_warehouse import hive_warehouse
from mlplatform_tests.servers.hive.server import Hive, hive

TICKS = TableSchema("ticks", (Column("id", "bigint", nullable=False), Column("price", "double")))
ROWS, FILES = 20_000, 8
TUNED = {
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.adaptive.enabled": "false",
    # A part is a task, however small.
    "spark.sql.files.openCostInBytes": str(128 * 1024 * 1024),
    # What does not look whether it was cancelled ends with its process.
    "spark.task.reaper.enabled": "true",
    "spark.task.reaper.killTimeout": "2s",
    "spark.task.reaper.pollingInterval": "500ms",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hive]:
    with hive(tmp_path_factory.mktemp("cluster"), master="local-cluster[2,1,1024]", tuned=TUNED) as server:
        yield server


def executors(server: Hive) -> dict[str, Any]:
    """By id, as Spark's REST API tells of them; the driver left out."""
    root = f"http://127.0.0.1:{server.web_port}/api/v1/applications"
    (application,) = httpx.get(root, timeout=30).json()
    found = httpx.get(f"{root}/{application['id']}/allexecutors", timeout=30).json()
    return {one["id"]: one for one in found if one["id"] != "driver"}


@pytest.mark.slow
def test_two_executor_processes_share_a_scan_a_join_and_an_unload(cluster: Hive, tmp_path: Path) -> None:
    objects = DirectoryObjectStore(tmp_path / "objects", settle_s=0.0)
    with closing(hive_warehouse(cluster, tmp_path / "hive")) as warehouse:
        warehouse.create(TICKS)
        for number in range(FILES):
            first = number * ROWS
            data = b"id,price\n" + b"".join(b"%d,%d.5\n" % (i, i % 7) for i in range(first, first + ROWS))
            info = objects.put(f"in/{number}.csv", data)
            guard = warehouse.guard("ticks", "objects/in/")
            upto = str(number + 1)
            plan = LoadPlan(
                "ticks", guard.shard, guard.last, upto, guard.epoch, info.key, info.etag, info.size_bytes, CsvFormat()
            )
            assert warehouse.load(plan, TICKS, objects).loaded == ROWS
        sql = "SELECT count(*) AS n, sum(a.id) AS s FROM ticks a JOIN ticks b ON a.id = b.id"
        total = ROWS * FILES
        assert warehouse.query(sql).to_pylist() == [{"n": total, "s": total * (total - 1) // 2}]
        parts = warehouse.unload({"u": "SELECT * FROM ticks"}, objects)["u"].parts
    assert sum(part.rows for part in parts) == total
    assert len(parts) > 1
    found = executors(cluster)
    assert sorted(found) == ["0", "1"]
    assert len({one["hostPort"] for one in found.values()}) == 2
    tasks = {name: one["completedTasks"] for name, one in found.items()}
    assert min(tasks.values()) >= FILES // 2, tasks
    assert min(one["totalInputBytes"] for one in found.values()) > 0


@pytest.mark.slow
def test_a_nested_loop_that_was_cancelled_ends_with_its_process_and_the_server_goes_on(
    cluster: Hive, tmp_path: Path
) -> None:
    """Spark's nested loops never look whether they were cancelled: only `spark.task.reaper` frees what they hold."""
    numbers = ", ".join(f"(SELECT * FROM range(1000) r{i}(a{i})) x{i}" for i in range(8))
    with closing(hive_warehouse(cluster, tmp_path / "hive")) as warehouse:
        with pytest.raises(TimedOutError):
            warehouse.query(f"SELECT count(*) AS n FROM {numbers}", timeout_s=3)
        assert warehouse.query("SELECT sum(r.i) AS s FROM range(100) r(i)").to_pylist() == [{"s": 4950}]

        def replaced() -> bool:
            # One that was lost is told as active until the driver hears of it.
            found = executors(cluster).values()
            return len(found) > 2 and sum(one["isActive"] for one in found) >= 2

        deadline = time.monotonic() + 120
        while not replaced():
            assert time.monotonic() < deadline
            time.sleep(0.2)
