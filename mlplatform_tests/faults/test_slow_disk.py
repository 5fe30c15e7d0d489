"""A disk whose every flush takes long: calls are answered all the same, what they leave is written or counted, rows are loaded once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow.csv as pacsv
import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.core.loads.plan import Receipt
from mlplatform.errors import NotFoundError
from mlplatform.platform import SystemStations
from mlplatform.stations.capture import Capture
from mlplatform_tests.cli.commands import Shell, make_shell
from mlplatform_tests.gateway.site import ROW, Site, spec
from mlplatform_tests.prices import price_rows
from mlplatform_tests.serving.capturing import captured_lines
from mlplatform_tests.serving.until import until

FLUSH_S = 0.2
CALLS = 100
LAST_CALLS = 10
SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int slowly(const char *name, int fd) {
    usleep((useconds_t)(atof(getenv("SLOW_FLUSH_S")) * 1e6));
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}
int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which flushing a file takes `FLUSH_S`."""
    compiler = shutil.which("cc")
    assert compiler, "a C compiler is needed to slow a process's flushes down (Debian: gcc)"
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", "slow.so", "slow.c", "-ldl"], cwd=folder, check=True)
    return {**os.environ, "LD_PRELOAD": str(folder / "slow.so"), "SLOW_FLUSH_S": str(FLUSH_S)}


def capture(root: Path) -> Capture:
    return Capture(DirectoryObjectStore(root / "store"), root / "capture", spec(), system="stock_prices")


def test_calls_do_not_wait_for_the_disk_and_each_is_captured(slow: dict[str, str], tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy(site.package(), public=True)
    with site.serve(env=slow) as served, served.client() as client:
        began = time.monotonic()
        assert {client.post("/predict/prices", json=ROW).status_code for _ in range(CALLS)} == {200}
        assert time.monotonic() - began < CALLS * FLUSH_S
    drained = capture(tmp_path).drain()
    assert (drained.requests, drained.gap) == (CALLS, 0)


def test_what_a_kill_takes_while_the_disk_is_slow_is_counted(slow: dict[str, str], tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy(site.package(), public=True)
    made = 0
    with site.serve(env={**slow, "SLOW_FLUSH_S": str(5 * FLUSH_S)}) as served, served.client() as client:
        while not captured_lines(tmp_path / "capture"):
            assert client.post("/predict/prices", json=ROW).status_code == 200
            made += 1
        # The segment's first lines are being flushed now: what is captured meanwhile stays in memory.
        for _ in range(LAST_CALLS):
            assert client.post("/predict/prices", json=ROW).status_code == 200
        served.processes[0].kill()
        served.processes[0].wait()
    drained = capture(tmp_path).drain()
    assert drained.requests + drained.gap == made + LAST_CALLS
    assert drained.requests > 0
    assert drained.gap > 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rows_are_loaded_once_though_the_worker_is_killed_while_the_disk_is_slow(
    slow: dict[str, str], tmp_path: Path
) -> None:
    shell = make_shell(tmp_path)
    # A worker's first start makes databases, with hundreds of flushes.
    shell.more = {"LD_PRELOAD": slow["LD_PRELOAD"], "SLOW_FLUSH_S": str(FLUSH_S / 4)}
    stations = shell.platform().system("stock_prices")
    for first in range(0, 30, 10):
        days = tmp_path / f"{first}.csv"
        pacsv.write_csv(price_rows(first, first + 10), days)
        put = shell.process("put", "stock_prices/stock_stream", str(days))
        assert put.code == 0, put.err
        loaded = len(receipts(stations)) + 1
        with killed_at_last(shell):
            until(partial(at_least, stations, loaded), timeout_s=240)
    with killed_at_last(shell):
        until(lambda: sum(r.arrived for r in receipts(stations)) == 600, timeout_s=240)
    assert {r.balanced() for r in receipts(stations)} == {True}
    counts = "SELECT count(*) AS n, count(DISTINCT (ticker_symbol, trading_day)) AS keys FROM stock_table"
    assert stations.warehouse().query(counts).to_pylist() == [{"n": 600, "keys": 600}]


@contextmanager
def killed_at_last(shell: Shell) -> Iterator[None]:
    """A worker on the shell's home, killed when the block ends."""
    process = subprocess.Popen([sys.executable, "-m", "mlplatform.worker.main"], env=shell.env)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def at_least(stations: SystemStations, count: int) -> bool:
    return len(receipts(stations)) >= count


def receipts(stations: SystemStations) -> list[Receipt]:
    """What became of the objects so far; none before there is a table."""
    try:
        return stations.receipts("stock_table", limit=None)
    except NotFoundError:
        return []
