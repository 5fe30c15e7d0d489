"""Retention of an embedded stream: what no landing object holds yet is not taken, whatever its age."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlplatform.platform.housekeeping import housekeeping
from mlplatform_tests.platform.shop import shop


def test_records_that_a_standing_delivery_has_not_written_outlive_the_retention(tmp_path: Path) -> None:
    years_on = datetime.now(UTC) + timedelta(days=700)
    with shop(tmp_path, "ducklake", {}) as stations:
        stations.prepare()
        stream, delivery = stations.stream("ticks"), stations.delivery("ticks")

        def put(first: int, last: int) -> None:
            records = [json.dumps({"ticker": "A", "n": n}).encode() for n in range(first, last)]
            assert {r.error_code for r in stations.producer("ticks").put(records)} == {""}

        put(0, 5)
        assert sum(d.records for d in delivery.deliver(datetime.now(UTC) + timedelta(hours=1))) == 5
        put(5, 8)
        housekeeping(stations, years_on)
        left = [json.loads(record.data)["n"] for shard in stream.shards() for record in stream.read(shard.shard)]
        assert left == [5, 6, 7]
        assert sum(d.records for d in delivery.deliver(years_on)) == 3
        housekeeping(stations, years_on)
        assert sum(shard.records or 0 for shard in stream.shards()) == 0
