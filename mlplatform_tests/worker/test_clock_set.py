"""A worker that starts under a clock that was set: it deletes nothing, says why, and merges files all the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from mlplatform_tests.faults.machine_clock import MachineClock
from mlplatform_tests.serving.until import until
from mlplatform_tests.worker.test_main import PATIENCE_S, World


def test_a_worker_started_anew_after_the_clock_was_set_trims_nothing(tmp_path: Path) -> None:
    clock = MachineClock(tmp_path / "clock")
    world = World(tmp_path)
    world.env |= clock.env
    # Records of long ago, by the clock that is right.
    world.put("good", 0, 60)
    with world.worker() as process:
        until(lambda: world.rows("good") == (60, 60), timeout_s=PATIENCE_S)
        assert "housekeeping" not in world.beat()["troubles"]
        process.kill()
        process.wait()
    clock.set(timedelta(days=400))
    with world.worker():
        until(lambda: "housekeeping" in world.beat()["troubles"], timeout_s=PATIENCE_S)
        assert "the clock was set by +34560000 s" in world.beat()["troubles"]["housekeeping"]
        # The tasks before and behind housekeeping had their turn.
        world.put("other", 0, 5)
        until(lambda: world.rows("other") == (5, 5), timeout_s=PATIENCE_S)
    kept = sum(shard.records for shard in world.platform.system("good").stream("ticks").shards())
    assert kept == 60
    assert world.log.read_text().count("housekeeping waits") == 1
