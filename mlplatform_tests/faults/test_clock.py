"""Clocks that jump: records are delivered once, and a dead worker is not taken for a live one."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform_tests.cli.commands import Shell, make_shell
from mlplatform_tests.prices import price_rows

JUMPS = [timedelta(days=days) for days in (0, -365, 3650, -1, 0)]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return make_shell(tmp_path)


def test_each_record_is_delivered_and_loaded_once_however_the_clock_jumps(shell: Shell) -> None:
    stations = shell.platform().system("stock_prices")
    producer, delivery, ingest = (
        stations.producer("stock_stream"),
        stations.delivery("stock_stream"),
        stations.ingest("stock_table"),
    )
    for day, jump in enumerate(JUMPS):
        records = [json.dumps(r, default=str).encode() for r in price_rows(day, day + 1).to_pylist()]
        assert not any(r.error_code for r in producer.put(records))
        delivery.deliver(datetime.now(UTC) + jump)
        ingest.run()
    # What a clock that was set back held up is due once it is right again.
    delivery.deliver(datetime.now(UTC) + timedelta(seconds=5))
    ingest.run()
    receipts = stations.receipts("stock_table", limit=None)
    assert sum(r.loaded for r in receipts) == sum(r.arrived for r in receipts) == 20 * len(JUMPS)
    assert all(p.last == p.newest for p in delivery.pending())


@pytest.mark.parametrize(("ahead_s", "alive"), [(0, True), (-60, False), (3600, False)])
def test_a_beat_of_long_ago_or_of_the_future_is_no_sign_of_life(shell: Shell, ahead_s: int, alive: bool) -> None:
    platform = shell.platform()
    platform.items.put("workers", "worker", {"pid": 1, "beat_at": time.time() + ahead_s, "troubles": {}})
    assert platform.worker_alive() is alive
