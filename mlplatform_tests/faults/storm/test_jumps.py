"""The clock of a machine that works is set hours and years ahead and back: afterwards all adds up, and nothing waits for ever.

Gateway, worker, daemon, runs, producer and operator see each jump at once, while records stream and clients call.
"""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from mlplatform_tests.faults.machine_clock import MachineClock
from mlplatform_tests.faults.storm import accounts
from mlplatform_tests.faults.storm.storm import CALM_S, Storm
from mlplatform_tests.serving.until import until

SEED = 7
JUMPS = (timedelta(hours=3), timedelta(days=-2), timedelta(days=400), timedelta(hours=-1), timedelta(0))
"""How far ahead of the test's clock each sets it; some seconds are spent there."""
STAY_S = 6.0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_all_adds_up_after_the_clock_jumped(tmp_path: Path) -> None:
    clock = MachineClock(tmp_path / "clock")
    storm = Storm(tmp_path / "storm", seed=SEED, env=clock.env)
    try:
        storm.begin()
        for ahead in JUMPS:
            clock.set(ahead)
            time.sleep(STAY_S)
        storm.calm()
        # Before the next start, which brings them back too; a daemon that was told to end has its time for that.
        until(lambda: not accounts.ahead(storm.installation, clock.now), timeout_s=CALM_S)
        assert storm.installation.stop() == 0
        assert not storm.installation.processes(), "processes are left"
        storm.start_and_stop()
        said = {
            "table": accounts.check_table(
                storm.installation.site.stations, accounts.check_stream(storm.installation, SEED)
            ),
            "generation, version": accounts.check_models(storm.installation),
            "captured, gap": accounts.check_captured(storm.installation, storm.callers.answered),
            "runs": dict(accounts.check_runs(storm.installation)),
        }
        assert not storm.callers.wrong
        assert storm.installation.exits == [], "nothing was killed"
        print(said)
    finally:
        print(storm)
        storm.end()
