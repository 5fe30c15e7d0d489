"""Backups of an installation in which everything happens at once; each, restored elsewhere, is consistent and goes on.

Records stream and are loaded, clients are answered and captured, a refresh trains, an operator deploys one version after
another. No version is half deployed in any backup, and all that was ever deployed answers.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from mlplatform.platform.backup import restore
from mlplatform.platform.checkup import checkup
from mlplatform_tests.components.site import SYSTEM, Site
from mlplatform_tests.faults.storm import accounts
from mlplatform_tests.faults.storm.installation import Installation
from mlplatform_tests.faults.storm.storm import Storm

SEED, BACKUPS, PAUSE_S = 11, 5, 2.0
ROW = {"ticker_symbol": "AAPL", "sector": "Information Technology", "change": 1.0}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_backup_of_a_working_installation_is_consistent_and_goes_on(tmp_path: Path) -> None:
    storm = Storm(tmp_path / "storm", seed=SEED)
    made = [tmp_path / f"{number}.tar" for number in range(BACKUPS)]
    try:
        storm.begin()
        for file in made:
            time.sleep(PAUSE_S)
            take(storm.installation, file)
        storm.calm()
        assert storm.installation.stop() == 0
        assert not storm.callers.wrong
        seen = [look(storm.installation, file, set(storm.callers.answered)) for file in made]
        print(seen)
        for figures in zip(*seen, strict=True):
            assert list(figures) == sorted(figures), "a later backup holds less"
        assert all(first < last for first, last in zip(seen[0], seen[-1], strict=True)), "nothing happened meanwhile"
    finally:
        print(storm)
        storm.end()


def take(installation: Installation, file: Path) -> None:
    """A backup, as an operator makes it."""
    command = [sys.executable, "-m", "mlplatform.cli.main", "state", "backup", str(file)]
    done = subprocess.run(command, env=installation.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def look(installation: Installation, file: Path, answered: set[str]) -> tuple[int, int, int]:
    """Restore a backup beside, and let it go on; records that had arrived, generations, captured requests."""
    root = file.with_suffix("")
    shutil.copytree(installation.site.root / "defs", root / "defs")
    restore(file, root / "home")
    site = Site(root)
    restored = Installation(site, {})
    assert [f for f in checkup(site.platform) if not f.ok] == []

    stations = site.stations
    stations.delivery("stock_stream").deliver(datetime.now(UTC) + timedelta(hours=1))
    stations.ingest("stock_table").run()
    arrived = accounts.check_table(stations, accounts.stream_records(stations))["arrived"]

    # One that was being launched has no process that could be gone: Dagster's monitor ends it after its time to start.
    site.platform.asset_events.sweep()
    going = [run.run_id for run in site.instance.get_runs() if run.status is dg.DagsterRunStatus.STARTED]
    assert not going, f"runs are left as going on: {going}"
    # The alias is copied after the record that it follows, and may be ahead of it; `serve` repairs that when it starts.
    stations.rollout(SYSTEM).reconcile()
    generations, _ = accounts.check_models(restored)
    for deployment in site.platform.endpoints.history(accounts.ENDPOINT):
        package = site.platform.tracking.package(deployment.model, deployment.digest)
        (answer,) = site.platform.runtimes.load(package, digest=deployment.digest).predict_rows([ROW])
        assert isinstance(answer.value, float)

    stations.capture(SYSTEM).drain()
    stations.capture_ingest(SYSTEM).run()
    query = f"SELECT request_id, generation, digest, count(*) AS n FROM {SYSTEM}_capture GROUP BY ALL"
    captured = stations.warehouse().query(query).to_pylist()
    assert {row["n"] for row in captured} == {1}
    assert {row["request_id"] for row in captured} <= answered
    # Captured rows are copied last: some may be of generations that came after the records were copied.
    deployed = {d.generation: d.digest for d in site.platform.endpoints.history(accounts.ENDPOINT)}
    assert all(deployed.get(row["generation"], row["digest"]) == row["digest"] for row in captured)
    site.close()
    return arrived, generations, len(captured)
