"""What takes long: the memory of ten million rows that go in and out, and Spark with one executor process and with two."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from benchmarks.options import Options
from benchmarks.processes import Warm, warm
from benchmarks.rounds import paired, series
from benchmarks.rows import Bar, Row, Series, row
from benchmarks.warehouses.bench import KEY, opened
from benchmarks.warehouses.data import memory_mib, write_parquet
from benchmarks.warehouses.engines import hive

PARTS = 8
"""Objects of the table that executors share: a part of a table is a task."""


def memory(options: Options, engine: str) -> list[Row]:
    """Rows ``warehouses.memory.<engine>.load`` and ``.unload``: the peak of our process."""
    with opened(options, engine, options.size(10_000_000, 20_000)) as both:
        whole = memory_mib(options.folder(engine) / "rows.parquet")
        both.ours.ask("prepare", table="large", key=KEY)
        peaks = {do: both.ours.ask(do, table="large") for do in ("load", "unload")}
    found = []
    for do, said in peaks.items():
        if said["rows"] != both.rows:
            raise RuntimeError(f"{do}: expected {both.rows} rows, found {said['rows']}")
        found.append(
            row(
                f"warehouses.memory.{engine}.{do}",
                f"Memory at the peak of the {do} of {both.rows:,} rows",
                "MiB",
                Series.of([said["peak_mib"]]),
                Series.of([whole]),
                peer_name="the whole table as Arrow",
                note=f"resident set of the whole process, imports included. {both.place.note}",
            )
        )
    return found


def executors(options: Options) -> list[Row]:
    """Rows ``warehouses.executors.profile`` and ``.load``: two executor processes beside one, a core each."""
    rows = options.size(1_000_000, 5_000)
    file = options.folder("executors") / "rows.parquet"
    write_parquet(file, rows)
    options.say("starting two Sparks: with one executor, and with two")
    with _spark(options, 1) as one, _spark(options, 2) as two:
        for side in (one, two):
            for number in range(PARTS):
                side.ask("put", key=f"in/{number}.parquet", file=str(file))
            _load(side, "ticks")

        def both(side: Warm) -> dict[str, float]:
            return {"load": _load(side, "more"), "profile": side.ask("profile", table="ticks")["seconds"]}

        both(two), both(one)
        say = options.say
        pairs = paired(lambda: both(two), lambda: both(one), rounds=options.rounds(), say=say)
    return executor_rows(pairs, rows * PARTS)


def executor_rows(pairs: list[tuple[dict[str, float], dict[str, float]]], rows: int) -> list[Row]:
    """What the rounds say: seconds with two executors, and with one."""
    return [
        row(
            f"warehouses.executors.{what}",
            f"{title} of {rows:,} rows in {PARTS} objects with two executor processes",
            "s",
            *series(pairs, what),
            peer_name="one executor process",
            bar=Bar("peer / ours", "least", 1.5),
            note="Spark's executors have a core each, on a machine that driver and loader share with them; a load is checked "
            "and staged in the platform's own process",
        )
        for what, title in (("profile", "Profile"), ("load", "Load"))
    ]


def _load(side: Warm, table: str) -> float:
    """Seconds of the loads of all objects into the table, behind what it has."""
    seconds = 0.0
    for number in range(PARTS):
        side.ask("prepare", table=table, key=f"in/{number}.parquet")
        seconds += float(side.ask("load", table=table)["seconds"])
    return seconds


@contextlib.contextmanager
def _spark(options: Options, count: int) -> Iterator[Warm]:
    """Our process, open on a server of its own with so many executors."""
    folder = options.folder(f"executors-{count}")
    with (
        hive(folder, executors=count) as place,
        warm("benchmarks.warehouses.ours", log=folder / "ours.log", env={**os.environ, **place.env}) as ours,
    ):
        ours.ask("open", place=place.to_json())
        yield ours
