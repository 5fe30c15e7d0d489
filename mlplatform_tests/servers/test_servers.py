"""Servers of tests end with the test, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import listens, running

SERVER = "import http.server; http.server.test(bind='127.0.0.1', port={port}, HandlerClass=http.server.SimpleHTTPRequestHandler)"


def command(port: int) -> list[str]:
    return [sys.executable, "-c", SERVER.format(port=port)]


def test_server_is_ready_in_the_block_and_gone_after_it(tmp_path: Path) -> None:
    port = free_port()
    with running(command(port), ready=lambda: listens(port), log=tmp_path / "log", env=os.environ):
        assert listens(port)
    assert not listens(port)


def test_a_port_is_given_away_once_though_several_processes_ask() -> None:
    code = "from mlplatform_tests.servers.ports import free_port; print(*(free_port() for _ in range(200))); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        theirs = other.stdout.readline().split()
        ours = [free_port() for _ in range(200)]
        other.communicate("\n", timeout=60)
    assert len({*map(int, theirs), *ours}) == 400


def test_server_that_fails_shows_its_log(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "print('no such luck'); raise SystemExit(3)"]
    with (
        pytest.raises(RuntimeError, match=r"ended with 3; its log ends: no such luck"),
        running(failing, ready=lambda: False, log=tmp_path / "log", env=os.environ),
    ):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is the Linux kernel's")
def test_server_dies_with_a_killed_test_process(tmp_path: Path) -> None:
    port = free_port()
    test = f"""
import os, pathlib, time
from mlplatform_tests.servers.process import listens, running
with running({command(port)!r}, ready=lambda: listens({port}), log=pathlib.Path({str(tmp_path / "log")!r}), env=os.environ):
    print("up", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", test], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.kill()
    deadline = time.monotonic() + 20
    while listens(port):
        assert time.monotonic() < deadline
        time.sleep(0.02)
