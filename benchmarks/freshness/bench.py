"""A thousand records a second through stream, delivery and load, by the platform's own worker, watched by a reader."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.freshness.producer import KEYS, STREAM, SYSTEM
from benchmarks.options import Options
from benchmarks.processes import server, tail
from benchmarks.project import environment, write_system
from benchmarks.rows import Bar, Row, Series, row
from mlplatform.platform import Platform, open_platform

RATE = 1000
POLL_S = 0.1
TABLE = "fresh_table"
DEFS = f"""type: mlplatform.Stream
attributes:
  name: {STREAM}
  partition_key: key
  shards: 2
  delivery: {{prefix: fresh/, max_age_s: 1}}
---
type: mlplatform.Table
attributes:
  name: {TABLE}
  columns:
    - {{name: id, type: bigint, nullable: false}}
    - {{name: key, nullable: false}}
    - {{name: value, type: double}}
  sources:
    - {{stream: {STREAM}}}
"""


NEWEST = 30_000
"""Rows of the scan that is repeated while the table grows: those of the last half minute."""


@dataclass(frozen=True)
class Size:
    """What the warehouse consists of at a moment, and how long a scan of its newest rows took."""

    scan_s: float
    files: int
    catalogue_kib: float


@dataclass(frozen=True)
class Seen:
    """One look at the table: when, the largest id of each key, and now and then its size."""

    at: float
    ids: tuple[int, ...]
    size: Size | None


def freshness(options: Options) -> list[Row]:
    """Rows ``refresh.freshness.*`` of a run of two minutes."""
    return _run(options, "refresh.freshness", seconds=20 if options.quick else 120)


def half_hour(options: Options) -> list[Row]:
    """Rows ``refresh.half_hour.*``: the same for half an hour, which is when files and catalogue would have grown."""
    return _run(options, "refresh.half_hour", seconds=30 if options.quick else 1800)


def _run(options: Options, name: str, *, seconds: int) -> list[Row]:
    scratch = options.folder(name.replace(".", "-"))
    write_system(scratch, SYSTEM, DEFS)
    env = environment(scratch, scratch / "home")
    platform = open_platform(env)
    platform.asset_events.prepare()
    platform.system(SYSTEM).prepare()
    options.say(f"{RATE:,} records/s for {seconds} s, delivery set to 1 s")
    worker = [sys.executable, "-m", "mlplatform.worker.main"]
    with server(worker, ready=platform.worker_alive, log=scratch / "worker.log", env=env):
        log = scratch / "sent.txt"
        command = [sys.executable, "-m", "benchmarks.freshness.producer", str(RATE), str(seconds), str(log)]
        with (scratch / "producer.log").open("wb") as said:
            producer = subprocess.Popen(command, env=env, stdout=said, stderr=said)
            try:
                seen = _watch(options, platform, producer, seconds * RATE, scratch / "home")
            finally:
                producer.kill()
                producer.wait()
    sent = [line.split() for line in log.read_text().splitlines()]
    latency = latencies([(float(at), int(first), int(last)) for at, first, last in sent], seen)
    if len(latency) != seconds * RATE:
        raise RuntimeError(
            f"expected {seconds * RATE} rows, {len(latency)} became visible; {tail(scratch / 'worker.log')}"
        )
    return _rows(name, latency, seen, seconds)


def _watch(
    options: Options, platform: Platform, producer: subprocess.Popen[bytes], records: int, home: Path
) -> list[Seen]:
    """Look until every record is there (or a minute after the producer's end)."""
    warehouse = platform.system(SYSTEM).warehouse()
    seen: list[Seen] = []
    known = [-1] * KEYS
    deadline, next_scan, told = float("inf"), 0.0, time.time()
    while sum(known) + KEYS < _sum_of_last(records) and time.time() < deadline:
        sql = f"SELECT key, max(id) AS id FROM {TABLE} WHERE id > {min(known)} GROUP BY key"  # noqa: S608 - a number
        for found in warehouse.query(sql).to_pylist():
            place = int(found["key"][1:])
            known[place] = max(known[place], found["id"])
        at = time.time()
        size = None
        if at >= next_scan:
            start = time.perf_counter()
            warehouse.query(f"SELECT count(*), avg(value) FROM {TABLE} WHERE id > {max(known) - NEWEST}")  # noqa: S608
            scan, next_scan = time.perf_counter() - start, at + 5
            catalogue = home / "warehouse" / SYSTEM / "catalog.sqlite"
            size = Size(scan, data_files(catalogue), catalogue.stat().st_size / 1024)
        seen.append(Seen(at, tuple(known), size))
        if at - told > 30:
            told = at
            options.say(f"{max(known) + 1:,} records visible")
        if producer.poll() is not None and deadline == float("inf"):
            if producer.returncode:
                raise RuntimeError(f"the producer ended with {producer.returncode}")
            deadline = at + 60
        time.sleep(POLL_S)
    return seen


def _sum_of_last(records: int) -> int:
    """Sum of the last id of each key, plus the number of keys: what `known` comes to when every record is there."""
    return sum(range(records - KEYS, records)) + KEYS


def latencies(sent: list[tuple[float, int, int]], seen: list[Seen]) -> list[float]:
    """Seconds from each record's put to the first look that showed it, in the order sent; those never seen are left out."""
    found, look = [], [0] * KEYS
    for at, first, last in sent:
        for number in range(first, last + 1):
            key = number % KEYS
            while look[key] < len(seen) and seen[look[key]].ids[key] < number:
                look[key] += 1
            if look[key] < len(seen):
                found.append(seen[look[key]].at - at)
    return found


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the values are at or below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def _rows(name: str, latency: list[float], seen: list[Seen], seconds: int) -> list[Row]:
    parts = [latency[k * len(latency) // 5 : (k + 1) * len(latency) // 5] for k in range(5)]
    p95 = Series.of([percentile(part, 0.95) for part in parts])
    sizes = [s.size for s in seen if s.size is not None]
    third = max(1, len(sizes) // 3)
    begun, ended = sizes[:third], sizes[-third:]
    # Upkeep merges files every minute or two: a shorter run shows where in that it happened to stand.
    long = seconds > 600
    about = f"{RATE:,} records/s for {seconds} s, delivery set to 1 s; the rounds are fifths of the run"
    whole = percentile(latency, 0.95)
    return [
        row(
            f"{name}.p95",
            "Put on the stream to visible in the table, p95",
            "s",
            Series.of([whole]),
            bar=Bar("ours", "most", 2.0),
            note=about,
        ),
        row(
            f"{name}.p50",
            "Put on the stream to visible in the table, median",
            "s",
            Series.of([percentile(latency, 0.5)]),
        ),
        row(
            f"{name}.flat",
            "p95 of the run's last fifth beside its first",
            "s",
            Series.of([p95.values[-1]]),
            Series.of([p95.values[0]]),
            peer_name="the first fifth",
            bar=Bar("ours / peer", "most", 1.25),
        ),
        row(
            f"{name}.scan",
            f"Scan of the newest {NEWEST:,} rows: the run's last third beside its first",
            "s",
            Series.of([percentile([size.scan_s for size in ended], 0.5)]),
            Series.of([percentile([size.scan_s for size in begun], 0.5)]),
            peer_name="the first third",
            bar=Bar("ours / peer", "most", 1.5) if long else None,
        ),
        row(
            f"{name}.files",
            "Data files that the table and its books consist of, at most: the run's last third beside its first",
            "files",
            Series.of([most_files(ended)]),
            Series.of([most_files(begun)]),
            peer_name="the first third",
            bar=Bar("ours / peer", "most", 1.25) if long else None,
            note="files that upkeep merged into others are deleted an hour later, for reads that began before",
        ),
        row(
            f"{name}.catalogue",
            "Catalogue: at the end beside the end of the first third",
            "KiB",
            Series.of([ended[-1].catalogue_kib]),
            Series.of([begun[-1].catalogue_kib]),
            peer_name="the first third",
            bar=Bar("ours / peer", "most", 1.25) if long else None,
            note="it holds the snapshots of the last days, as long as upkeep keeps them",
        ),
    ]


def data_files(catalogue: Path) -> int:
    """Files that the newest snapshot reads. By a process of its own: this one has the file open through DuckDB's SQLite."""
    program = (
        "import sqlite3, sys; print(sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True, timeout=30)"
        ".execute('SELECT count(*) FROM ducklake_data_file WHERE end_snapshot IS NULL').fetchone()[0])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program, str(catalogue)], capture_output=True, check=True)
    return int(done.stdout)


def most_files(sizes: list[Size]) -> int:
    """The most files at any of these moments, at least one: few rows lie in the catalogue itself."""
    return max(1, *(size.files for size in sizes))
