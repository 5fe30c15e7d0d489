"""What must add up after a storm, to the row."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg

from mlplatform.core.loads.plan import Receipt
from mlplatform.platform import SystemStations
from mlplatform_tests.components.site import SYSTEM
from mlplatform_tests.faults.storm.installation import BASE_DAYS, Installation
from mlplatform_tests.faults.storm.leaving_out import TEST_SECTOR
from mlplatform_tests.faults.storm.producing import batch, journal

MODEL = f"{SYSTEM}.stock_model"
ENDPOINT = f"{SYSTEM}/{SYSTEM}"
OPEN = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


@dataclass(frozen=True)
class Sent:
    """The producer's side: records of batches known to be stored, and of those that may be stored any number of times."""

    stored: Counter[bytes]
    maybe: Counter[bytes]

    @classmethod
    def of(cls, installation: Installation, seed: int) -> Sent:
        put: Counter[int] = Counter()
        stored: Counter[int] = Counter()
        for what, number in journal(installation.site.root):
            (put if what == "put" else stored)[number] += 1
        records = {number: batch(seed, number) for number in put}

        def total(times: Counter[int]) -> Counter[bytes]:
            return sum((Counter(records[b] * n) for b, n in times.items()), Counter())

        return cls(total(stored), total(put))


def check_stream(installation: Installation, seed: int) -> Counter[bytes]:
    """The stream holds what was acknowledged, and nothing that was not sent; its records."""
    held = stream_records(installation.site.stations)
    sent = Sent.of(installation, seed)
    assert not sent.stored - held, "acknowledged records are not on the stream"
    assert not held - sent.maybe, "records on the stream were never sent"
    return held


def stream_records(stations: SystemStations) -> Counter[bytes]:
    """All records of the stream."""
    stream = stations.stream("stock_stream")
    held: Counter[bytes] = Counter()
    for shard in stream.shards():
        after = ""
        while page := stream.read(shard.shard, after=after, limit=1000):
            held.update(r.data for r in page)
            after = page[-1].sequence
    return held


def check_table(stations: SystemStations, held: Counter[bytes]) -> dict[str, int]:
    """Every record of the stream is loaded, quarantined, a duplicate or left out, each once; totals over the stream's receipts."""
    receipts: list[Receipt] = stations.receipts("stock_table", limit=None)
    assert all(r.balanced() for r in receipts)
    streamed = [r for r in receipts if r.shard.startswith("stream/")]
    counts = {
        name: sum(getattr(r, name) for r in streamed)
        for name in ("arrived", "loaded", "quarantined", "duplicates", "filtered")
    }
    assert counts["arrived"] == held.total()

    good: Counter[tuple[Any, ...]] = Counter()
    bad: Counter[str] = Counter()
    left_out = 0
    for data, times in held.items():
        row = json.loads(data)
        if row["sector"] == TEST_SECTOR:
            left_out += times
        elif "trading_day" in row and isinstance(row["price"], float):
            good[row["ticker_symbol"], row["trading_day"]] += times
        else:
            bad[json.dumps(row)] += times
    query = "SELECT ticker_symbol, CAST(trading_day AS VARCHAR) AS day, count(*) AS n FROM stock_table GROUP BY ALL"
    rows = {(r["ticker_symbol"], r["day"]): r["n"] for r in stations.warehouse().query(query).to_pylist()}
    assert set(rows.values()) == {1}, "rows are doubled"
    assert len(rows) == BASE_DAYS * 20 + len(good)
    assert good.keys() <= rows.keys(), "rows are lost"
    quarantined = [json.loads(q.raw) for q in stations.quarantine("stock_table").list(limit=100_000)]
    assert Counter(json.dumps({k: v for k, v in row.items() if k != "_sequence"}) for row in quarantined) == bad
    expected = {"loaded": len(good), "quarantined": bad.total(), "duplicates": good.total() - len(good)}
    assert counts == {"arrived": held.total(), "filtered": left_out, **expected}
    return counts


def check_models(installation: Installation) -> tuple[int, int]:
    """Each generation serves a registered version whose verdict is a pass; the alias is the last one's; (generation, version)."""
    platform, stations = installation.site.platform, installation.site.stations
    versions = {v.version: v for v in platform.tracking.versions(MODEL)}
    for version in versions.values():
        item = platform.items.get("verdicts", version.digest)
        assert item is not None
        assert item.value["passed"] is True
        assert platform.tracking.package(MODEL, version.digest).is_dir()
    history = platform.endpoints.history(ENDPOINT)
    assert [d.generation for d in history] == list(range(1, len(history) + 1))
    assert all(versions[d.version].digest == d.digest for d in history)
    champions = [v.version for v in versions.values() if "champion" in v.aliases]
    assert champions == [history[-1].version]
    assert not stations.rollout(SYSTEM).reconcile(), "there was something to repair"
    return history[-1].generation, history[-1].version


def check_captured(installation: Installation, answered: dict[str, int]) -> tuple[int, int]:
    """What was answered is captured once, or counted as a gap, once all that was spooled is loaded; (rows, gap)."""
    stations = installation.site.stations
    stations.capture(SYSTEM).drain()
    stations.capture_ingest(SYSTEM).run()
    query = f"SELECT request_id, generation, count(*) AS n FROM {SYSTEM}_capture GROUP BY ALL"
    rows = {(r["request_id"], r["generation"]): r["n"] for r in stations.warehouse().query(query).to_pylist()}
    assert set(rows.values()) <= {1}, "captured requests are doubled"
    missing = [pair for pair in answered.items() if pair not in rows]
    gap = stations.capture(SYSTEM).gap()
    assert len(missing) <= gap, f"{len(missing)} answered requests are not captured, {gap} are counted as lost"
    return len(rows), gap


def check_runs(installation: Installation) -> Counter[str]:
    """No run is left as going on; runs by how they ended."""
    runs = installation.site.instance.get_runs()
    left = [run.run_id for run in runs if run.status in OPEN]
    assert not left, f"runs are left as going on: {left}"
    return Counter(run.status.value for run in runs)


def ahead(installation: Installation, now: datetime) -> list[str]:
    """Sensors and schedules that Dagster takes for evaluated after `now`, and so would leave alone until then."""
    found = []
    for state in installation.site.instance.all_instigator_state():
        data: Any = state.instigator_data
        times = {k: v for k, v in (data._asdict() if data is not None else {}).items() if k.endswith("_timestamp")}
        if any(value is not None and value > now.timestamp() + 5 for value in times.values()):
            found.append(state.instigator_name)
    return found
