"""The contract of the warehouse port under several processes: loaders at once, one that is overtaken, and kill −9 in mid-load."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mlplatform.errors import ConflictError
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouse_loader import BEGINS, GO, HOLD, HOLDS, SHARD, load_all
from mlplatform_tests.conformance.warehouses import HEADER, Case, case, shared_ducklake

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

OBJECTS, ROWS, KILLS = 6, 40, 2
DEADLINE_S = 240.0


def fill(case: Case) -> int:
    """Objects of which each has rows of the one before, and one that does not fit; how many distinct rows they hold."""
    for number in range(OBJECTS):
        first = number * ROWS
        lines = [b"T%d,,%d,,2020-01-01\n" % (n, n) for n in range(first - (10 if number else 0), first + ROWS)]
        case.store.put(f"in/{number}.csv", HEADER + b"".join(lines) + b"bad,,x,,2020-01-01\n")
    return OBJECTS * ROWS


def loader(case: Case, folder: Path) -> subprocess.Popen[str]:
    """A process that loads them; it has said that it is ready."""
    if case.source is None:
        pytest.skip("no other process can open its warehouse")
    source, store = folder / "source.json", folder / "store.json"
    source.write_text(json.dumps(case.source.document()))
    store.write_text(case.source.store.model_dump_json())
    process = subprocess.Popen(
        [sys.executable, "-m", "mlplatform_tests.conformance.warehouse_loader", str(source), str(store)],
        env={**os.environ, **case.source.env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def begin(process: subprocess.Popen[str], how: str = GO) -> None:
    """Let a loader that is ready load."""
    assert process.stdin is not None
    process.stdin.write(f"{how}\n")
    process.stdin.flush()


def check(case: Case, rows: int) -> None:
    """Each row is there once, and the books say so."""
    assert case.rows("SELECT count(*) AS n, count(DISTINCT ticker) AS d FROM prices") == [(rows, rows)]
    books = case.rows("SELECT position, key, arrived, loaded, quarantined, duplicates FROM _ledger ORDER BY position")
    assert [(position, key) for position, key, *_ in books] == [(n + 1, f"in/{n}.csv") for n in range(OBJECTS)]
    assert [tuple(found) for _, _, *found in books] == [(41, 40, 1, 0)] + [(51, 40, 1, 10)] * (OBJECTS - 1)
    assert case.rows("SELECT count(*) AS n FROM _quarantine") == [(OBJECTS,)]
    assert case.warehouse.guard("prices", SHARD).last == str(OBJECTS)


def test_two_loader_processes_at_once_load_every_object_once(case: Case, tmp_path: Path) -> None:
    rows = fill(case)
    processes = [loader(case, tmp_path) for _ in range(2)]
    for process in processes:
        begin(process)
    for process in processes:
        process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0
    check(case, rows)


def says(process: subprocess.Popen[str], word: str) -> bool:
    """Wait until the loader's next line that begins so; whether there is one."""
    assert process.stdout is not None
    return any(line.startswith(word) for line in process.stdout)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=DEADLINE_S)


def test_loaders_killed_within_a_load_double_and_lose_nothing(case: Case, tmp_path: Path) -> None:
    rows = fill(case)
    if case.server is not None:
        case.server.forget()
    started = time.monotonic()
    held = loader(case, tmp_path)
    begin(held, HOLD)
    assert says(held, HOLDS)
    load_s = (time.monotonic() - started) / 2
    kill(held)
    # The others at any moment: within a load, most often.
    rng = random.Random(case.name)
    for _ in range(KILLS):
        process = loader(case, tmp_path)
        begin(process)
        assert says(process, BEGINS)
        time.sleep(rng.uniform(0, load_s))
        kill(process)
    last = loader(case, tmp_path)
    begin(last)
    last.communicate(timeout=DEADLINE_S)
    assert last.returncode == 0
    check(case, rows)
    if case.server is not None:
        case.server.mend()


def test_a_loader_with_a_stale_epoch_loads_nothing_more(case: Case) -> None:
    rows = fill(case)
    mine, theirs = case.warehouse, case.open()
    epoch = mine.guard("prices", SHARD, claim=True).epoch
    newer = theirs.guard("prices", SHARD, claim=True).epoch
    with pytest.raises(ConflictError, match="stale"):
        load_all(mine, case.store, epoch=epoch)
    assert case.count() == 0
    load_all(theirs, case.store, epoch=newer)
    with suppress(ConflictError):
        load_all(mine, case.store, epoch=epoch)
    check(case, rows)
