"""`serve` and `status`: one supervisor a home, and how it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlplatform.spec.scaffold import make_project
from mlplatform_tests.cli.commands import Shell
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.serving.until import until


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """`mlplatform serve` on a project and a home of its own, ready."""
    shell = Shell(tmp_path_factory.mktemp("served"))
    make_project("shop", shell.root / "shop")
    shell.more = {
        "MLPLATFORM_DEFS": str(shell.root / "shop" / "shop" / "defs"),
        "MLPLATFORM_GATEWAY_PORT": str(free_port()),
        "MLPLATFORM_GATEWAY_WORKERS": "1",
    }
    log = shell.root / "serve.log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "mlplatform.cli.main", "serve"]
        process = subprocess.Popen(command, env=shell.env, stdout=file, stderr=file)
    try:
        until(lambda: "Ready." in log.read_text() or process.poll() is not None, timeout_s=120)
        assert process.poll() is None, log.read_text()
        yield shell
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
    assert not shell.run("status", "--json").json["programs"]


def test_status_is_healthy_and_names_programs_with_their_logs(served: Shell) -> None:
    done = served.run("status", "--json")
    assert (done.code, done.json["healthy"], done.json["troubles"]) == (0, True, [])
    programs = {p["name"]: p for p in done.json["programs"]}
    assert set(programs) == {"worker", "gateway-1", "dagster-daemon"}
    assert {p["state"] for p in programs.values()} == {"ready"}
    assert all(Path(p["log"]).is_file() for p in programs.values())
    text = served.run("status").out
    for word in ("healthy", "Programs", "Streams", "lag_s", "Tables", "in_quarantine", "Endpoints"):
        assert word in text


def test_a_second_supervisor_is_refused_with_the_pid_of_the_first(served: Shell) -> None:
    done = served.process("serve")
    assert done.code == 7
    assert "'mlplatform serve' runs on" in done.err
    assert "→ Stop it first: kill " in done.err


@pytest.mark.parametrize(
    "arguments", [("state", "restore", "x.tar", "--replace"), ("state", "migrate"), ("destroy", "shop_system", "--yes")]
)
def test_what_would_pull_the_state_away_is_refused_while_it_is_served(
    served: Shell, arguments: tuple[str, ...]
) -> None:
    done = served.run(*arguments)
    assert done.code == 7
    assert "'mlplatform serve' runs on" in done.err


def test_serving_takes_the_yaml_for_the_live_one(served: Shell) -> None:
    assert served.run("plan").out == "shop_system: as it is\n"


def test_what_is_put_while_it_serves_is_loaded(served: Shell) -> None:
    record = {"id": "a", "happened_on": "2026-01-01", "category": "x", "amount": 1, "target": 2}
    assert served.run("put", "shop_system/shop_system_stream", "--record", json.dumps(record)).code == 0
    sql = "SELECT count(*) AS n FROM shop_system_table"
    until(lambda: served.run("query", "shop_system", sql, "--json").json["rows"] == [{"n": 1}], timeout_s=60)


def test_a_program_that_died_is_a_trouble_until_it_is_back(served: Shell) -> None:
    (worker,) = [p for p in served.run("status", "--json").json["programs"] if p["name"] == "worker"]
    os.kill(worker["pid"], signal.SIGKILL)

    def restarted() -> bool:
        found = served.run("status", "--json")
        (now,) = [p for p in found.json["programs"] if p["name"] == "worker"]
        return bool(now["restarts"] == worker["restarts"] + 1 and now["state"] == "ready" and found.code == 0)

    until(restarted, timeout_s=60)


def test_what_does_not_run_is_not_healthy(shell: Shell) -> None:
    done = shell.run("status")
    assert done.code == 10
    assert "NOT healthy" in done.out
    assert "trouble: nothing runs; start it: mlplatform serve" in done.out
