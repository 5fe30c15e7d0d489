"""The gateway under its supervisor: a worker that dies is replaced while the socket stays open."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from mlplatform.adapters.endpoints import LocalEndpoints
from mlplatform.serving.supervisor import read_status
from mlplatform.spec.process_name import is_alive
from mlplatform_tests.gateway.site import NAME, ROW, Site
from mlplatform_tests.packages import make_package
from mlplatform_tests.serving.until import until


def test_a_crashed_worker_is_replaced_and_every_new_connection_is_answered(tmp_path: Path) -> None:
    home = tmp_path / "home"
    digest = make_package(tmp_path / "new", rounds=2)
    (home / "packages").mkdir(parents=True)
    (tmp_path / "new").rename(home / "packages" / digest)
    Site(home).deploy(digest, public=True)
    endpoints = LocalEndpoints(home / "endpoints")
    argv = [sys.executable, "-m", "mlplatform_tests.gateway.supervised", str(home), "2"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as supervisor:
        try:
            assert supervisor.stdout is not None
            url = f"http://127.0.0.1:{int(supervisor.stdout.readline())}"
            until(lambda: endpoints.state(NAME).workers == 2, timeout_s=60)
            status = read_status(home / "run")
            assert status is not None
            victim, name = status.programs[0].pid, status.programs[0].process
            assert victim is not None
            assert name is not None
            os.kill(victim, signal.SIGKILL)
            until(lambda: not is_alive(name))
            answers = 0
            while endpoints.state(NAME).workers < 2 or answers < 50:
                assert httpx.post(f"{url}/predict/prices", json=ROW, timeout=60).status_code == 200
                answers += 1
            status = read_status(home / "run")
            assert status is not None
            assert [p.restarts for p in status.programs] == [1, 0]
            assert status.programs[0].pid != victim
        finally:
            supervisor.terminate()
            assert supervisor.wait(60) == 0
    assert endpoints.state(NAME).workers == 0
