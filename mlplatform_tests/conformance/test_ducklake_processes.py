"""DuckLake under several processes, on one machine and as a team runs it: two loaders at once, a long read beside commits,
and kill −9 in mid-load.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from mlplatform.core.loads.landing import landing_key, landing_line
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.loader import TEAM, ingest
from mlplatform_tests.conformance.team_ducklake import TeamLake

RANGES = 12
PER_RANGE = 200


@pytest.fixture(params=["local", "team"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "team":
        lake: TeamLake = request.getfixturevalue("team_lake")
        settings = lake.settings().model_copy(update={"schema_prefix": f"p{uuid.uuid4().hex[:8]}_"})
        settings = settings.model_copy(update={"prefix": f"lake/{settings.schema_prefix}"})
        (tmp_path / TEAM).write_text(settings.model_dump_json())
    return tmp_path


def sequence(number: int) -> str:
    return f"{number:020d}"


def fill(store: ObjectStore, *, shards: int) -> int:
    """Delivered ranges on several shards, and files; how many distinct rows they hold."""
    for shard in range(shards):
        for start in range(0, RANGES * PER_RANGE, PER_RANGE):
            lines = [
                landing_line(sequence(i + 1), b'{"ticker":"T%d","tick":%d,"price":1.5}' % (shard, i))
                for i in range(start, start + PER_RANGE)
            ]
            key = landing_key(
                "landing/ticks/", str(shard), sequence(start) if start else "", sequence(start + PER_RANGE)
            )
            store.put(key, b"\n".join(lines))
    for number in range(4):
        rows = b"".join(b"F%d,%d,2\n" % (number, i) for i in range(50))
        store.put(f"files/{number}.csv", b"ticker,tick,price\n" + rows)
    return shards * RANGES * PER_RANGE + 4 * 50


def loader(home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mlplatform_tests.conformance.loader", str(home)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


def check(home: Path, rows: int) -> None:
    warehouse, _, station = ingest(home)
    assert station.run() == []
    found = warehouse.query("SELECT count(*) AS n, count(DISTINCT (ticker, tick)) AS d FROM ticks_table").to_pylist()
    assert found == [{"n": rows, "d": rows}]
    books = warehouse.query(
        "SELECT CAST(sum(loaded) AS bigint) AS loaded, count(*) AS n, count(DISTINCT key) AS keys, max(position) AS p, "
        "count(*) FILTER (WHERE arrived <> loaded + quarantined + duplicates + filtered) AS unbalanced FROM _ledger"
    ).to_pylist()[0]
    assert books["loaded"] == rows
    assert books["n"] == books["keys"] == books["p"]
    assert books["unbalanced"] == 0
    warehouse.close()


def test_two_loaders_at_once_load_every_object_once(home: Path) -> None:
    warehouse, store, station = ingest(home)
    rows = fill(store, shards=2)
    station.create()
    warehouse.close()
    processes = [loader(home) for _ in range(2)]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    check(home, rows)


def test_resume_after_kill_in_mid_load(home: Path) -> None:
    warehouse, store, station = ingest(home)
    rows = fill(store, shards=2)
    station.create()
    warehouse.close()
    rng = random.Random(7)
    for _ in range(3):
        process = loader(home)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.05, 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    _, _, station = ingest(home)
    station.run()
    check(home, rows)


def test_a_long_unload_and_commits_beside_it_disturb_each_other_not(home: Path) -> None:
    warehouse, store, station = ingest(home)
    store.put("files/base.csv", b"ticker,tick,price\n" + b"".join(b"B,%d,1\n" % i for i in range(20_000)))
    station.run()
    reader, _, _ = ingest(home)
    results: list[int] = []

    def read() -> None:
        query = "SELECT a.ticker, count(*) AS n FROM ticks_table a JOIN ticks_table b ON a.tick % 300 = b.tick % 300 GROUP BY 1"
        for _ in range(3):
            results.append(reader.unload({"u": query}, store)["u"].ledger_position)

    thread = threading.Thread(target=read)
    thread.start()
    number = 0
    while thread.is_alive() and number < 200:
        store.put(f"files/{number:04d}.csv", b"ticker,tick,price\nC,%d,1\n" % number)
        station.run()
        number += 1
    thread.join()
    assert len(results) == 3
    assert results == sorted(results)
    assert warehouse.query("SELECT count(*) AS n FROM ticks_table WHERE ticker = 'C'").to_pylist() == [{"n": number}]
    reader.close()
    warehouse.close()


@pytest.mark.slow
def test_four_loaders_under_repeated_kills(home: Path) -> None:
    warehouse, store, station = ingest(home)
    rows = fill(store, shards=4)
    station.create()
    warehouse.close()
    rng = random.Random(11)
    for _ in range(10):
        processes = [loader(home) for _ in range(4)]
        time.sleep(rng.uniform(1.0, 2.5))
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
    _, _, station = ingest(home)
    station.run()
    check(home, rows)
