"""How the clocks stood is kept in the home: a process that starts knows whether the wall clock was set before it did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mlplatform.stations.steady_clock import BELIEVED_S, SteadyClock
from mlplatform_tests.cli.commands import make_shell

DAY_S = 86_400.0


@dataclass
class Machine:
    """Its clocks, and the file of the home on it."""

    kept: Path
    wall_s: float = 1e9
    counted_s: float = 5000.0
    boot: str = "first"

    def passes(self, seconds: float) -> None:
        self.wall_s += seconds
        self.counted_s += seconds

    def clock(self) -> SteadyClock:
        """That of a process that starts now."""
        return SteadyClock(self.kept, wall=lambda: self.wall_s, counted=lambda: self.counted_s, boot=self.boot)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One whose clock was believed for long."""
    made = Machine(tmp_path / "run" / "clock.json")
    made.clock()
    made.passes(BELIEVED_S)
    assert made.clock().doubt() == ""
    return made


@pytest.mark.parametrize("days", [400, -2])
def test_a_clock_that_was_set_while_nobody_looked_is_doubted(machine: Machine, days: int) -> None:
    machine.passes(10)
    machine.wall_s += days * DAY_S
    clock = machine.clock()
    assert f"set by {days * DAY_S:+.0f} s" in clock.doubt()
    assert clock.was_set()


def test_a_doubt_goes_on_where_it_was_in_the_next_process(machine: Machine) -> None:
    machine.wall_s += DAY_S
    machine.clock()
    machine.passes(BELIEVED_S - 1)
    assert machine.clock().doubted_for_s() == BELIEVED_S - 1
    machine.passes(1)
    assert machine.clock().doubt() == ""


@pytest.mark.parametrize(("boot", "counted_s"), [("second", 10.0), ("second", 5000.0), ("", 10.0)])
def test_after_a_start_of_the_machine_nobody_knows(machine: Machine, boot: str, counted_s: float) -> None:
    machine.boot, machine.counted_s = boot, counted_s
    clock = machine.clock()
    assert "is not known" in clock.doubt()
    assert not clock.was_set()
    machine.passes(BELIEVED_S)
    assert clock.doubt() == ""


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"boot": 1, "offset_s": "x"}'])
def test_a_home_that_does_not_tell_begins_in_doubt(machine: Machine, content: str | None) -> None:
    machine.kept.unlink()
    if content is not None:
        machine.kept.write_text(content)
    assert "is not known" in machine.clock().doubt()


def test_whoever_sees_a_step_first_tells_the_others(machine: Machine) -> None:
    worker = machine.clock()
    machine.wall_s += DAY_S
    assert machine.clock().was_set()
    machine.passes(100)
    assert machine.clock().doubted_for_s() == 100
    assert worker.was_set()


def test_what_slewing_adds_up_to_is_no_step(machine: Machine) -> None:
    clock = machine.clock()
    for _ in range(10):
        machine.wall_s += 30
        machine.passes(60)
        assert clock.doubt() == ""
    assert machine.clock().doubt() == ""


def test_a_step_is_told_once_whoever_asks_besides(machine: Machine) -> None:
    clock = machine.clock()
    machine.wall_s -= DAY_S
    assert clock.doubt()
    assert clock.moved_s() == -DAY_S
    assert clock.moved_s() == 0


def test_a_new_home_is_not_in_doubt_and_one_of_before_is(tmp_path: Path) -> None:
    shell = make_shell(tmp_path)
    assert shell.platform().clock_doubt() == ""
    shell.platform().home.clock.unlink()
    assert "is not known" in shell.platform().clock_doubt()
