"""A disk whose every flush takes long: calls are answered all the same, and what they leave is written or counted."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.core.capture.spool import OPEN
from mlplatform.stations.capture import Capture
from mlplatform_tests.gateway.site import ROW, Site, spec

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
        while not written(tmp_path / "capture"):
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


def written(folder: Path) -> int:
    """How many captured requests stand in the segments' files, flushed or not."""
    return sum(max(0, path.read_bytes().count(b"\n") - 1) for path in folder.rglob(f"*{OPEN}"))
