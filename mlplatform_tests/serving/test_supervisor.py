"""The supervisor, with real processes that die, hang and are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlplatform.errors import ConflictError, TimedOutError
from mlplatform.serving.keeper import Keeper
from mlplatform.serving.log_file import rotate
from mlplatform.serving.program import Program, ProgramStatus
from mlplatform.serving.supervisor import Supervisor
from mlplatform.serving.supervisor_file import SupervisorStatus, read_status, refuse_if_running
from mlplatform.spec.home import Home
from mlplatform.spec.process_name import is_alive, process_name
from mlplatform_tests.serving.until import until

SLEEP = "import time; print('up', flush=True); time.sleep(100)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(100)"
)
PARENT = (
    "import subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)']);"
    "print('child', child.pid, flush=True); time.sleep(100)"
)


@contextmanager
def supervised(root: Path, *pairs: str) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor over (name, code) pairs, every program ready when the block begins."""
    argv = [sys.executable, "-m", "mlplatform_tests.serving.supervise", str(root), *pairs]
    with subprocess.Popen(argv) as process:
        try:
            until(
                lambda: (
                    (s := status(root))
                    and s.process == process_name(process.pid)
                    and all(p.state == "ready" for p in s.programs)
                )
            )
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(90)


def status(root: Path) -> SupervisorStatus | None:
    return read_status(root / "run")


def program(root: Path, name: str) -> ProgramStatus:
    found = status(root)
    assert found is not None
    return next(p for p in found.programs if p.name == name)


def stepped(keeper: Keeper) -> str:
    """A keeper's state after one more look."""
    keeper.step()
    return keeper.status.state


def test_it_starts_programs_and_stops_them_with_sigterm(tmp_path: Path) -> None:
    with supervised(tmp_path, "one", SLEEP, "two", SLEEP) as process:
        found = status(tmp_path)
        assert found is not None
        assert (found.pid, found.alive) == (process.pid, True)
        names = [p.process for p in found.programs if p.process]
        assert len(names) == 2
        assert all(is_alive(name) for name in names)
        until(lambda: (tmp_path / "logs" / "one.log").read_text() == "up\n")
        process.terminate()
        assert process.wait(90) == 0
        assert not any(is_alive(name) for name in names)
    found = status(tmp_path)
    assert found is not None
    assert [(p.state, p.exit_code) for p in found.programs] == [("stopped", -signal.SIGTERM)] * 2
    assert not found.alive


def test_a_program_that_dies_is_started_again(tmp_path: Path) -> None:
    with supervised(tmp_path, "one", SLEEP, "two", SLEEP):
        one, two = program(tmp_path, "one"), program(tmp_path, "two")
        assert one.pid is not None
        os.kill(one.pid, signal.SIGKILL)
        until(lambda: program(tmp_path, "one").restarts == 1 and program(tmp_path, "one").state == "ready")
        assert program(tmp_path, "one").pid != one.pid
        assert program(tmp_path, "two") == two


def test_a_second_supervisor_is_refused_and_told_who_runs(tmp_path: Path) -> None:
    with supervised(tmp_path, "one", SLEEP) as first:
        argv = [sys.executable, "-m", "mlplatform_tests.serving.supervise", str(tmp_path), "one", SLEEP]
        second = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert f"runs already on '{tmp_path}', as process {first.pid}." in second.stderr
        with pytest.raises(ConflictError, match=f"as process {first.pid}, since"):
            refuse_if_running(Home(tmp_path))
    refuse_if_running(Home(tmp_path))


def test_children_of_programs_end_too(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "parent.log"
    with supervised(tmp_path, "parent", PARENT) as process:
        until(lambda: log.read_text().endswith("\n"))
        child = process_name(int(log.read_text().split()[1]))
        process.terminate()
        process.wait(90)
        until(lambda: not is_alive(child))


def test_a_program_that_does_not_end_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, "stubborn", STUBBORN) as process:
        until(lambda: "up" in (tmp_path / "logs" / "stubborn.log").read_text())
        name = program(tmp_path, "stubborn").process
        assert name is not None
        process.terminate()
        process.wait(90)
        assert not is_alive(name)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_nothing_survives_a_kill_of_the_supervisor(tmp_path: Path) -> None:
    with supervised(tmp_path, "one", SLEEP) as process:
        name = program(tmp_path, "one").process
        assert name is not None
        process.kill()
        until(lambda: not is_alive(name))


def test_what_survived_a_kill_is_swept_by_the_next_supervisor(tmp_path: Path) -> None:
    log = tmp_path / "logs"
    with supervised(tmp_path, "stubborn", STUBBORN, "parent", PARENT) as process:
        until(lambda: "up" in (log / "stubborn.log").read_text() and (log / "parent.log").read_text().endswith("\n"))
        stubborn = program(tmp_path, "stubborn").process
        child = process_name(int((log / "parent.log").read_text().split()[1]))
        assert stubborn is not None
        process.kill()
        process.wait()
    assert is_alive(stubborn)
    with supervised(tmp_path, "one", SLEEP):
        until(lambda: not is_alive(stubborn) and not is_alive(child))


def test_pauses_grow_while_a_program_keeps_dying(tmp_path: Path) -> None:
    now = [0.0]
    keeper = Keeper(
        Program("bad", [sys.executable, "-c", "raise SystemExit(3)"]), tmp_path / "bad.log", clock=lambda: now[0]
    )
    pauses = []
    keeper.start()
    for _ in range(3):
        until(lambda: stepped(keeper) == "waiting")
        assert keeper.status.exit_code == 3
        began = now[0]
        while keeper.status.state == "waiting":
            now[0] += 0.125
            keeper.step()
        pauses.append(now[0] - began)
    keeper.kill()
    assert pauses == [0.5, 1.0, 2.0]


def test_a_command_that_is_not_there_is_said_in_the_log(tmp_path: Path) -> None:
    keeper = Keeper(Program("none", ["/no/such/program"]), tmp_path / "none.log", clock=time.monotonic)
    keeper.start()
    assert (keeper.status.state, keeper.status.exit_code) == ("waiting", 127)
    assert "cannot start /no/such/program" in (tmp_path / "none.log").read_text()


def test_programs_that_never_get_ready_are_named(tmp_path: Path) -> None:
    late = Program("late", [sys.executable, "-c", SLEEP], ready=lambda: False)
    supervisor = Supervisor([late], run=tmp_path / "run", logs=tmp_path / "logs")
    supervisor.start()
    try:
        with pytest.raises(TimedOutError, match=r"Not ready after 0\.3 s: late \(starting, 0 restarts"):
            supervisor.wait_ready(timeout_s=0.3)
    finally:
        supervisor.stop()


def test_a_log_is_rotated_under_the_program_that_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("ab", buffering=0) as log:
        for number in range(3):
            log.write(b"%d" % number * 100)
            assert rotate(path, max_bytes=99, keep=2)
            log.write(b"x")
        assert not rotate(path, max_bytes=99)
    assert path.read_bytes() == b"x"
    assert (tmp_path / "a.log.1").read_bytes() == b"x" + b"2" * 100
    assert (tmp_path / "a.log.2").read_bytes() == b"x" + b"1" * 100
    assert not (tmp_path / "a.log.3").exists()
