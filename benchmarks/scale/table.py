"""A table of 100 million rows: loaded in ten objects, then refreshed to a new generation, all by the platform's stations."""

from __future__ import annotations

from benchmarks.options import Options
from benchmarks.processes import warm
from benchmarks.rows import Bar, Row, Series, row

FILES = 10
MEMORY_MIB = 2048


def table(options: Options) -> list[Row]:
    """Rows ``loop.table.*``."""
    scratch = options.folder("table")
    rows = options.size(10_000_000, 100_000)
    with warm("benchmarks.scale.house", log=scratch / "house.log") as house:
        house.ask("open", folder=str(scratch))
        loads = []
        for number in range(FILES):
            house.ask("write", number=number, rows=rows)
            loads.append(house.ask("load", rows=rows))
            options.say(f"{(number + 1) * rows:,} rows loaded, the last {rows:,} in {loads[-1]['seconds']:.1f} s")
        features = house.ask("features")
        options.say(f"features unloaded in {features['seconds']:.1f} s")
        train = house.ask("train")
        options.say(f"trained, judged and deployed in {train['seconds']:.1f} s")
    total = f"{FILES * rows:,}"
    peak = max(*(step["peak_mib"] for step in loads), features["peak_mib"], train["peak_mib"])
    return [
        row(
            "loop.table.load",
            f"Load of {rows:,} rows into a table of {total} with S1's unique key: the last three loads beside the first three",
            "s",
            Series.of([step["seconds"] for step in loads[-3:]]),
            Series.of([step["seconds"] for step in loads[:3]]),
            peer_name="the first three",
        ),
        row(
            "loop.table.features",
            f"Feature rows of the newest days out of {total}",
            "s",
            Series.of([features["seconds"]]),
        ),
        row("loop.table.refresh", "Training, gate and deployment on them", "s", Series.of([train["seconds"]])),
        row(
            "loop.table.memory",
            "Memory at the peak of all that",
            "MiB",
            Series.of([peak]),
            bar=Bar("ours", "most", MEMORY_MIB),
        ),
    ]
