"""Makes a small home that has a bit of everything, with the release at hand: ``python -m mlplatform_tests.faults.homes.make FILE``.

FILE is its backup, packed. With each release that changes what lies in a home, one more is made *by the release before* and
kept beside this file: `test_earlier_homes` reads every one of them.
"""

from __future__ import annotations

import json
import lzma
import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlplatform.platform.backup import backup
from mlplatform.platform.line import build_features, register_candidate, release, train_candidate
from mlplatform.serving.api_keys import ApiKeys
from mlplatform_tests.components.site import SYSTEM, Site
from mlplatform_tests.prices import price_rows

DAYS, RUN = 60, "run-of-then"


def records(first: int, last: int) -> list[bytes]:
    """A day's records, as JSON."""
    return [json.dumps(row, default=str).encode() for row in price_rows(first, last).to_pylist()]


def main(target: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["MLPLATFORM_HOME"] = str(root / "home")
        site = Site.make(root)
        site.edit("stock_features", expectations=[], window={"column": "trading_day", "last": 50})
        site.edit("stock_model", hyperparameters={"num_round": 3, "max_depth": 2, "eta": 0.3}, search={"trials": 0})
        site.edit("stock_model", gate={"metric": "r2", "threshold": 0.3, "by": "trading_day"})
        stations = site.stations
        site.put_days(0, DAYS)
        ingest = stations.ingest("stock_table")
        ingest.create()
        ingest.run()
        unfit = b'{"ticker_symbol": "AAPL", "price": "a lot"}'
        results = stations.producer("stock_stream").put([*records(DAYS, DAYS + 1), unfit])
        assert not any(r.error_code for r in results)
        stations.delivery("stock_stream").deliver(datetime.now(UTC) + timedelta(hours=1))
        ingest.run()
        stations.producer("stock_stream").put(records(DAYS + 1, DAYS + 2))  # not delivered
        build_features(stations, "stock_features", parameters={}, run_id=RUN, request=None)
        train_candidate(stations, "stock_model", run_id=RUN, request=None, on_log=lambda _: None)
        register_candidate(stations, "stock_model", run_id=RUN)
        release(stations, SYSTEM, run_id=RUN, request=None)
        ApiKeys(site.platform.items).create(f"{SYSTEM}/{SYSTEM}", label="of then", now=datetime.now(UTC))
        site.platform.close()
        backup(site.platform.home, root / "home.tar", now=datetime.now(UTC))
        target.write_bytes(lzma.compress((root / "home.tar").read_bytes(), preset=9))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
