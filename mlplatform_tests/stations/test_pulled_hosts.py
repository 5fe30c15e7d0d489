"""Hosts that pull their shares out of the warehouse, and one of them is killed: while it reads, and while all train."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mlplatform.errors import JobError
from mlplatform_tests.stations.line import FEATURES, MODEL, Line

KILLED = "algo-2"
STEPS = {**MODEL["hyperparameters"], "num_round": 150, "eta": 0.05, "checkpoint_s": 0.05}


@pytest.fixture
def line(tmp_path: Path) -> Line:
    made = Line(
        tmp_path,
        features_spec={**FEATURES, "channel": "warehouse"},
        model_spec={**MODEL, "hosts": 2, "hyperparameters": STEPS},
    )
    made.load_days(7500, 7679)
    return made


def sessions(line: Line) -> dict[str, int]:
    """The running job's hosts, by the id of each one's session."""
    found: dict[str, int] = {}
    for name in line.compute.list():
        for host, told in line.compute.describe(name).get("Local", {}).get("Hosts", {}).items():
            if told["Session"] is not None:
                found[host] = told["Session"]["pid"]
    return found


def members(session: int) -> list[psutil.Process]:
    """What lives of a session."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def reads(line: Line) -> bool:
    """Whether the host that is to be killed has a reader at work; it stands still from then on."""
    session = sessions(line).get(KILLED)
    for process in members(session) if session is not None else ():
        with contextlib.suppress(psutil.Error):
            if "mlplatform.platform.reader" in process.cmdline():
                process.suspend()
                return True
    return False


def has_steps(line: Line) -> bool:
    """Whether a part of the training is kept."""
    return any("checkpoint" in info.key for info in line.store.list("jobs/"))


def fail_by_kill(line: Line, reached: Callable[[Line], bool]) -> str:
    """Train until `reached`, kill a host with nothing else of its session, and tell how the job failed."""
    snapshot, failure = line.build(), []

    def run() -> None:
        try:
            line.train(snapshot)
        except JobError as error:
            failure.append(str(error))

    thread, pause = threading.Thread(target=run), threading.Event()
    thread.start()
    while thread.is_alive() and not reached(line):
        pause.wait(0.02)
    assert thread.is_alive()
    hosts = sessions(line)
    os.kill(hosts[KILLED], signal.SIGKILL)
    for process in members(hosts[KILLED]):
        with contextlib.suppress(psutil.Error):
            process.resume()
    thread.join(60)
    assert {host: members(session) for host, session in hosts.items()} == {"algo-1": [], "algo-2": []}
    return failure[0]


def test_a_host_killed_while_it_reads_fails_the_job_by_name_and_no_reader_is_left(line: Line) -> None:
    assert re.search(f"Host {KILLED}: .*killed by signal 9", fail_by_kill(line, reads), re.DOTALL)


@pytest.mark.slow
def test_a_host_killed_in_training_costs_no_tree_and_the_next_attempt_pulls_the_same_rows(line: Line) -> None:
    assert re.search(f"Host {KILLED}: .*killed by signal 9", fail_by_kill(line, has_steps), re.DOTALL)
    snapshot = line.features.latest()
    line.load_days(7680, 7681)
    lines: list[str] = []
    trained = line.training.train(snapshot, run_id="run-1", code_version="c" * 40, on_log=lines.append)
    resumed = [re.match(r"algo-1 \| .*: goes on behind \d+ finished trainings, (\d+) trees", x) for x in lines]
    assert max(int(found[1]) for found in resumed if found) > 0
    told = [int(x.split(" | train: ")[1].split()[0]) for x in lines if " | train: " in x]
    assert len(told) == 2
    assert sum(told) == snapshot.rows["train"]
    assert trained.metrics["r2"] > 0.9
    assert not has_steps(line)
