"""What the worker does at each beat while the clock is in doubt."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mlplatform.stations.steady_clock import BELIEVED_S, SteadyClock
from mlplatform.worker.clock_hands import RESTLESS_S, ClockHands
from mlplatform_tests.cli.commands import make_shell


def test_a_doubt_is_said_once_and_so_is_its_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mlplatform.worker.clock_hands")
    platform = make_shell(tmp_path).platform()
    platform.asset_events.prepare()
    wall, counted = [1e9], [0.0]
    clock = SteadyClock(wall=lambda: wall[0], counted=lambda: counted[0])
    hands = ClockHands(platform, clock)
    assert hands.look() == ""
    wall[0] += 86_400
    assert hands.look() == hands.look()
    assert "the clock was set by +86400 s" in hands.look()
    wall[0], counted[0] = wall[0] + BELIEVED_S, BELIEVED_S
    assert hands.look() == hands.look() == ""
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    platform.close()


def test_an_orchestrator_that_cannot_be_written_to_ends_no_worker_and_is_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    platform = make_shell(tmp_path).platform()
    platform.asset_events.prepare()
    (database,) = platform.home.dagster.rglob("schedules.db")
    for file in database.parent.glob("schedules.db*"):
        file.unlink()
    database.write_bytes(b"no database" * 100)
    wall, counted = [1e9], [0.0]
    hands = ClockHands(platform, SteadyClock(wall=lambda: wall[0], counted=lambda: counted[0]))
    wall[0] -= 7200
    for _ in range(3):
        hands.look()
    assert caplog.text.count("were not brought back to now, next try at the next beat") == 3
    wall[0], counted[0] = wall[0] + RESTLESS_S, RESTLESS_S
    hands.look()
    assert caplog.text.count("were not brought back to now") == 3
    platform.close()
