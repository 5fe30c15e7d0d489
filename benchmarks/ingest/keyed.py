"""Loads of 1,000 rows into a table with a unique key, beside the same loads into a table a tenth as large."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from benchmarks.options import Options
from benchmarks.rounds import paired, series
from benchmarks.rows import Bar, Row, row
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema

KEYS = {
    "ordered": (
        "ticker and day, as S1's, days ascending",
        "printf('T%04d', i % 1000) AS ticker, DATE '1700-01-01' + CAST(i // 1000 AS INTEGER) AS day",
        (Column("ticker", "varchar", nullable=False), Column("day", "date", nullable=False)),
    ),
    "random": (
        "a random text of 32 characters",
        "md5(i::VARCHAR) AS id",
        (Column("id", "varchar", nullable=False),),
    ),
}
"""Name of a kind of key → what it is, SQL of its columns for row number i, and the columns."""
ROWS = 1000
LOADS = 10
BAR = Bar("ours / peer", "most", 1.25)


def keyed(options: Options) -> list[Row]:
    """Rows ``ingest.keyed.ordered`` and ``ingest.keyed.random``."""
    scratch = options.folder("keyed")
    large, small = options.size(10_000_000, 500_000), options.size(1_000_000, 50_000)
    found = []
    with closing(DuckLakeWarehouse(scratch / "warehouse")) as lake:
        for kind, (key, _, _) in KEYS.items():
            big, little = (_Growing(lake, scratch, kind, rows) for rows in (large, small))
            options.say(f"{kind}: tables of {large:,} and {small:,} rows; loads of {ROWS:,}")
            pairs = paired(big.loads, little.loads, rounds=options.rounds(), say=options.say)
            found.append(
                row(
                    f"ingest.keyed.{kind}",
                    f"A load of {ROWS:,} rows into a table of {large:,}, unique by {key}",
                    "ms",
                    *series(pairs, "load"),
                    peer_name=f"into one of {small:,}",
                    bar=BAR,
                    note=f"medians of {LOADS} loads of rows that are new",
                )
            )
    return found


class _Growing:
    """A table, and loads of rows that it does not have yet."""

    def __init__(self, lake: DuckLakeWarehouse, scratch: Path, kind: str, rows: int) -> None:
        self._lake = lake
        self._store = DirectoryObjectStore(scratch / "objects")
        self._csv = scratch / "rows.csv"
        _, self._made, columns = KEYS[kind]
        self._schema = TableSchema(
            f"{kind}_{rows}", (*columns, Column("value", "double")), unique_key=tuple(c.name for c in columns)
        )
        self._rows = 0
        lake.create(self._schema)
        while self._rows < rows:
            self._load(min(1_000_000, rows - self._rows))

    def loads(self) -> dict[str, float]:
        """Milliseconds of a load."""
        taken = sorted(self._load(ROWS) for _ in range(LOADS))
        return {"load": taken[LOADS // 2] * 1000}

    def _load(self, rows: int) -> float:
        """Seconds of a load of the next rows, from the plan on."""
        import duckdb

        name, shard, first = self._schema.name, f"objects/{self._schema.name}/", self._rows
        with duckdb.connect(config={"threads": "1"}) as connection:
            connection.execute(
                f"COPY (SELECT {self._made}, i * 0.5 AS value FROM range({first}, {first + rows}) AS t(i)) "  # noqa: S608 - texts of ours
                f"TO '{self._csv}' (HEADER)"
            )
        key = f"{name}/{first}.csv"
        info = self._store.put(key, self._csv)
        guard = self._lake.guard(name, shard)
        upto = str(int(guard.last or 0) + 1)
        plan = LoadPlan(name, shard, guard.last, upto, guard.epoch, key, info.etag, info.size_bytes, CsvFormat())
        began = time.perf_counter()
        receipt = self._lake.load(plan, self._schema, self._store)
        taken = time.perf_counter() - began
        if receipt.loaded != rows:
            raise RuntimeError(f"{name}: expected {rows} rows loaded, found {receipt}")
        self._rows += rows
        return taken
