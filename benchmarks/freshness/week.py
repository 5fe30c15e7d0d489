"""A catalogue that saw a commit a second for a week, after its upkeep, beside one that has just been made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count

from benchmarks.options import Options
from benchmarks.rounds import paired, series
from benchmarks.rows import Bar, Row, Series, row
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema

SCHEMA = TableSchema("ticks", (Column("id", "bigint", nullable=False), Column("value", "double")))
SHARD = "objects/in/"
ROWS = 1000
LOADS = 20
BAR = Bar("ours / peer", "most", 1.25)


def week(options: Options) -> list[Row]:
    """Rows ``refresh.week.load``, ``.query`` and ``.catalogue``."""
    from mlplatform_tests.conformance.old_snapshots import commits_of_the_past

    scratch = options.folder("week")
    store = DirectoryObjectStore(scratch / "objects")
    numbers = count()
    for name in ("aged", "new"):
        with closing(DuckLakeWarehouse(scratch / name)) as lake:
            lake.create(SCHEMA)
            _loads(lake, store, numbers)
    now = datetime.now(UTC)
    made = commits_of_the_past(scratch / "aged", now, days=0.1 if options.quick else 7, every_s=1)
    options.say(f"{made:,} commits of the past; upkeep ...")
    with closing(DuckLakeWarehouse(scratch / "aged")) as aged, closing(DuckLakeWarehouse(scratch / "new")) as new:
        aged.maintain(now=now, keep=timedelta(days=7))
        pairs = paired(
            lambda: _loads(aged, store, numbers),
            lambda: _loads(new, store, numbers),
            rounds=options.rounds(),
            say=options.say,
        )
        sizes = [Series.of([float(len(lake.versions()))]) for lake in (aged, new)]
    note = f"medians of {LOADS} loads of {ROWS:,} rows, each with a query behind it"
    titles = {"load": "A load after a week of a commit a second", "query": "A query after a week of a commit a second"}
    return [
        *(
            row(f"refresh.week.{what}", title, "ms", *series(pairs, what), peer_name="a new one", bar=BAR, note=note)
            for what, title in titles.items()
        ),
        row("refresh.week.catalogue", "Snapshots that the catalogue lists", "snapshots", *sizes, peer_name="a new one"),
    ]


def _loads(lake: DuckLakeWarehouse, store: DirectoryObjectStore, numbers: Iterator[int]) -> dict[str, float]:
    """Milliseconds of a load, and of a query."""
    loads, queries = [], []
    for _ in range(LOADS):
        number = next(numbers)
        key = f"in/{number}.csv"
        info = store.put(key, b"id,value\n" + b"".join(b"%d,1\n" % (number * ROWS + i) for i in range(ROWS)))
        guard = lake.guard("ticks", SHARD)
        upto = str(int(guard.last or 0) + 1)
        plan = LoadPlan("ticks", SHARD, guard.last, upto, guard.epoch, key, info.etag, info.size_bytes, CsvFormat())
        began = time.perf_counter()
        lake.load(plan, SCHEMA, store)
        loaded = time.perf_counter()
        lake.query("SELECT count(*) AS n FROM ticks")
        queries.append(time.perf_counter() - loaded)
        loads.append(loaded - began)
    return {"load": sorted(loads)[LOADS // 2] * 1000, "query": sorted(queries)[LOADS // 2] * 1000}
