"""What came for a table and is not in it: a window is not judged without it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlplatform.stations.backlog import Backlog
from mlplatform_tests.platform.shop import shop


def test_a_source_is_behind_from_when_something_came_until_it_is_loaded(tmp_path: Path) -> None:
    with shop(tmp_path, shards=2) as stations:
        ingest, stream = stations.ingest("prices"), stations.stream("ticks")
        ingest.create()
        backlog = Backlog(stations.warehouse(), stations.platform.store, ingest, {"ticks": stream})
        before, ever = datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)
        assert backlog.sources(ever) == set()

        stations.producer("ticks").put([json.dumps({"ticker": f"T{n}"}).encode() for n in range(20)])
        both = {f"stream/ticks/{state.shard}" for state in stream.shards()}
        assert len(both) == 2
        assert backlog.sources(ever) == both
        assert backlog.sources(before) == set(), "what came later holds nothing up"

        stations.delivery("ticks").deliver(datetime.now(UTC) + timedelta(seconds=5))
        assert backlog.sources(ever) == both
        first, second = ingest.plan()
        ingest.load(first)
        assert backlog.sources(ever) == {second.shard}
        ingest.load(second)
        assert backlog.sources(ever) == set()

        stations.producer("ticks").put([json.dumps({"ticker": f"T{n}"}).encode() for n in range(20)])
        assert backlog.sources(ever) == both
        stream.trim(now=datetime.now(UTC) + timedelta(days=400))
        assert backlog.sources(ever) == set(), "what retention took is not waited for"
        stations.producer("ticks").put([json.dumps({"ticker": f"T{n}"}).encode() for n in range(20)])
        assert backlog.sources(ever) == both, "what it left is"
        stations.delivery("ticks").deliver(datetime.now(UTC) + timedelta(seconds=5))
        ingest.run()
        assert backlog.sources(ever) == set()

        stations.platform.store.put("shop/files/more.csv", b"ticker\nT99\n")
        (plan,) = ingest.plan()
        assert backlog.sources(ever) == {plan.shard}
        assert backlog.sources(before) == set()
        ingest.load(plan)
        assert backlog.sources(ever) == set()
