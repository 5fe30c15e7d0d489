"""Loads of 10 million and of 153,580 rows, ours and COPY in turn, each in a warm process, each round into a new table."""

from __future__ import annotations

import itertools

from benchmarks.ingest.data import write_csv
from benchmarks.options import Options
from benchmarks.processes import Warm, warm
from benchmarks.rounds import paired
from benchmarks.rows import Bar, Row, Series, row

SIZES = {"10m": (10_000_000, 200_000, 1.2), "s1": (153_580, 20_000, 0.6)}
"""Name of a size → its rows, its rows to try out, and the bar on rows per second."""
MEMORY_MIB = 1024


def ingest(options: Options) -> list[Row]:
    """Rows ``ingest.copy_ratio.<size>``, with a unique key ``….<size>.keyed``, and ``….<size>.memory``."""
    scratch = options.folder("ingest")
    found: list[Row] = []
    with (
        warm("benchmarks.ingest.ours", log=scratch / "ours.log") as ours,
        warm("benchmarks.ingest.copy", log=scratch / "copy.log") as copy,
    ):
        ours.ask("open", home=str(scratch / "home"))
        copy.ask("open", file=str(scratch / "bare.duckdb"))
        for size, (real, small, bar) in SIZES.items():
            rows = options.size(real, small)
            csv = scratch / f"{size}.csv"
            options.say(f"writing {rows:,} rows of CSV")
            write_csv(csv, rows)
            for keyed in (False, True):
                found += _measure(options, ours, copy, size, rows, str(csv), keyed=keyed, bar=bar)
            csv.unlink()
    return found


def _measure(
    options: Options, ours: Warm, copy: Warm, size: str, rows: int, csv: str, *, keyed: bool, bar: float
) -> list[Row]:
    numbers = itertools.count()

    def load() -> dict[str, float]:
        table = f"rows_{size}_{'keyed' if keyed else 'plain'}_{next(numbers)}"
        ours.ask("prepare", table=table, csv=csv, keyed=keyed)
        said = ours.ask("load", table=table)
        if said["loaded"] != rows or said["arrived"] != rows or not said["balanced"]:
            raise RuntimeError(f"{table}: expected {rows} rows loaded, found {said}")
        return {"rate": rows / said["seconds"], "peak_mib": said["peak_mib"]}

    def bare() -> dict[str, float]:
        table = f"bare_{size}_{'keyed' if keyed else 'plain'}_{next(numbers)}"
        copy.ask("prepare", table=table)
        said = copy.ask("copy", table=table, csv=csv)
        if said["loaded"] != rows:
            raise RuntimeError(f"{table}: expected {rows} rows, found {said['loaded']}")
        return {"rate": rows / said["seconds"], "peak_mib": said["peak_mib"]}

    load(), bare()  # the first of each opens files and fills caches
    word = "with a unique key" if keyed else "without a unique key"
    pairs = paired(load, bare, rounds=options.rounds(), say=lambda t: options.say(f"{rows:,} rows {word}: {t}"))
    name = f"ingest.copy_ratio.{size}" + (".keyed" if keyed else "")
    mine, theirs = Series.of([o["rate"] for o, _ in pairs]), Series.of([p["rate"] for _, p in pairs])
    checks = "schema checks, quarantine, receipt and ledger on"
    return [
        row(
            name,
            f"Load of {rows:,} rows" + (", rows unique by key" if keyed else ""),
            "rows/s",
            mine,
            theirs,
            peer_name="DuckDB COPY into a DuckDB file",
            bar=None if keyed else Bar("ours / peer", "least", bar),
            note=checks + ("; COPY knows no key" if keyed else ""),
        ),
        row(
            f"{name}.memory",
            f"Memory at the peak of a load of {rows:,} rows" + (", unique by key" if keyed else ""),
            "MiB",
            Series.of([o["peak_mib"] for o, _ in pairs]),
            Series.of([p["peak_mib"] for _, p in pairs]),
            peer_name="DuckDB COPY into a DuckDB file",
            bar=Bar("ours", "most", MEMORY_MIB),
            note="resident set of the whole process",
        ),
    ]
