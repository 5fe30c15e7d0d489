"""Starting where something stands in the way: a port taken, another supervisor, and what a killed one left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlplatform.serving.listening import listen
from mlplatform.serving.supervisor_lock import LOCK
from mlplatform.spec.process_name import is_alive, process_name
from mlplatform_tests.faults.served import Served
from mlplatform_tests.serving.until import until


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served.make(tmp_path)
    yield made
    made.close()


def test_a_port_that_is_taken_is_refused_before_anything_runs(served: Served) -> None:
    with listen("127.0.0.1", int(served.shell.more["MLPLATFORM_GATEWAY_PORT"])):
        one = served.start()
        assert one.process.wait(60) == 7
    assert f"is taken by process {os.getpid()}" in one.said
    assert served.shell.run("status", "--json").json["programs"] == []
    assert not list((served.shell.home / "logs").glob("*.log"))


@pytest.mark.slow
def test_of_two_supervisors_that_start_at_once_one_runs_and_the_other_is_told_so(served: Served) -> None:
    both = [served.start(), served.start()]
    until(lambda: any(s.ready for s in both) and any(s.process.poll() is not None for s in both), timeout_s=120)
    (refused,) = [s for s in both if s.process.poll() is not None]
    (runs,) = [s for s in both if s is not refused]
    assert refused.process.returncode == 7
    assert f"as process {runs.process.pid}" in refused.said
    assert runs.ready


@pytest.mark.slow
def test_a_supervisor_takes_over_from_a_killed_one_whose_gateway_hangs_on_the_port(served: Served) -> None:
    first = served.start().wait_ready()
    gateway = served.program("gateway-1")
    name = process_name(gateway)
    os.kill(gateway, signal.SIGSTOP)  # it will not hear that its supervisor is gone
    first.process.kill()
    first.process.wait()
    assert is_alive(name)
    second = served.start().wait_ready()
    assert f"gateway-1 of an earlier supervisor was still there ([{gateway}]); killed" in second.said
    assert not is_alive(name)


@pytest.mark.slow
def test_a_lock_file_of_a_dead_process_stops_nobody_though_another_process_has_its_pid(served: Served) -> None:
    run = served.shell.home / "run"
    run.mkdir(parents=True)
    (run / LOCK).write_text(f"{os.getpid()}-1")
    served.start().wait_ready()
    assert is_alive((run / LOCK).read_text())
