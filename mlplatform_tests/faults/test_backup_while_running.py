"""Backups taken while records stream and are loaded: each, restored elsewhere, goes on from where it was, to the row."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.platform import open_platform
from mlplatform.platform.backup import backup, restore
from mlplatform.platform.checkup import checkup
from mlplatform_tests.components.site import SYSTEM, Site
from mlplatform_tests.faults.storm.accounts import check_table, stream_records
from mlplatform_tests.faults.storm.installation import BASE_DAYS, LEAVING_OUT
from mlplatform_tests.serving.until import until

BACKUPS = 4
SEED = 5


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site.make(tmp_path / "site")
    made.edit("stock_stream", delivery={"prefix": f"{SYSTEM}/stream/", "max_age_s": 0.05, "transform": LEAVING_OUT})
    made.put_days(0, BASE_DAYS)
    made.platform.asset_events.prepare()
    made.stations.prepare()
    yield made
    made.close()


def loaded(site: Site) -> int:
    site.stations.ingest("stock_table").create()
    receipts = site.stations.receipts("stock_table", limit=None)
    return sum(r.loaded for r in receipts if r.shard.startswith("stream/"))


@pytest.mark.slow
def test_a_backup_of_a_running_home_goes_on_where_it_was(site: Site, tmp_path: Path) -> None:
    def start(*command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", *command], env=site.env)

    with ExitStack() as running:
        worker = running.enter_context(start("mlplatform.worker.main"))
        produce = ("mlplatform_tests.faults.storm.producing", str(site.root), str(SEED), "0.01")
        producer = running.enter_context(start(*produce))
        for process in (worker, producer):
            running.callback(process.send_signal, signal.SIGTERM)
        for number in range(BACKUPS):
            before = loaded(site)
            until(lambda before=before: loaded(site) > before, timeout_s=60)
            backup(site.platform.home, tmp_path / f"{number}.tar", now=datetime.now(UTC))
    arrived = [goes_on(site, tmp_path / f"{number}.tar") for number in range(BACKUPS)]
    assert arrived == sorted(arrived)
    assert arrived[0] > 0


def goes_on(site: Site, made: Path) -> int:
    """Restore a backup beside, put what the stream had not yet, deliver and load; records that arrived by then."""
    home = made.with_suffix("")
    restore(made, home)
    platform = open_platform({**site.env, "MLPLATFORM_HOME": str(home)})
    stations = platform.system(SYSTEM)
    assert [f for f in checkup(platform) if not f.ok] == []
    at_backup = stream_records(stations).total()
    producer = stations.producer("stock_stream")
    fresh = [b'{"ticker_symbol": "T%d", "sector": "Energy", "price": 1.0, "trading_day": "2000-01-01"}' % n for n in range(50)]  # fmt: skip
    assert not any(r.error_code for r in producer.put(fresh))
    stations.delivery("stock_stream").deliver(datetime.now(UTC) + timedelta(hours=1))
    stations.ingest("stock_table").run()
    held = stream_records(stations)
    counts = check_table(stations, held)
    assert counts["arrived"] == at_backup + len(fresh)
    platform.close()
    return at_backup
