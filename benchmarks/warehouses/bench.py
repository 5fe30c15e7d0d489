"""Loads, unloads and reads of a million rows, ours and the engine's own in turn, each in a warm process."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.options import Options
from benchmarks.processes import Warm, warm
from benchmarks.rounds import paired
from benchmarks.rows import Bar, Row, Series, row
from benchmarks.warehouses.data import ORDER, SELECT, write_parquet
from benchmarks.warehouses.engines import ENGINES
from benchmarks.warehouses.place import Place

KEY = "in/rows.parquet"
LOAD = UNLOAD = 1.25
READ = 1.15
"""Bars: ours / the engine's own, in time."""


@dataclass(frozen=True)
class Both:
    """The two sides of one engine, open, with the object that they load; each load is into a table of its own."""

    options: Options
    place: Place
    ours: Warm
    bare: Warm
    rows: int
    numbers: Iterator[int]

    def load_ours(self) -> float:
        table = self._next("ours")
        self.ours.ask("prepare", table=table, key=KEY)
        return self.asked(self.ours, "load", table=table)

    def load_bare(self) -> float:
        table = self._next("bare")
        self.bare.ask("prepare", table=table)
        seconds = float(self.bare.ask("load", table=table, key=KEY)["seconds"])
        self.asked(self.bare, "count", table=table)
        return seconds

    def unload_ours(self) -> float:
        return self.asked(self.ours, "unload", table="ours_0")

    def unload_bare(self) -> float:
        return self.asked(self.bare, "unload", table="bare_1", prefix=f"out/bare/{next(self.numbers)}/")

    def read_ours(self) -> float:
        return self.asked(self.ours, "read", table="ours_0")

    def read_bare(self) -> float:
        return self.asked(self.bare, "read", sql=f"{SELECT}bare_1")

    def sort_bare(self) -> float:
        return self.asked(self.bare, "read", sql=f"{SELECT}bare_1 ORDER BY {', '.join(ORDER)}")

    def pairs(self, what: str, ours: Callable[[], float], bare: Callable[[], float]) -> tuple[Series, Series]:
        """Both in turn, after one of each that opens files and fills caches."""
        ours(), bare()
        found = paired(ours, bare, rounds=self.options.rounds(), say=lambda t: self.options.say(f"{what}: {t}"))
        return Series.of([o for o, _ in found]), Series.of([b for _, b in found])

    def _next(self, side: str) -> str:
        return f"{side}_{next(self.numbers)}"

    def asked(self, side: Warm, do: str, **arguments: str) -> float:
        said = side.ask(do, **arguments)
        if said["rows"] != self.rows:
            raise RuntimeError(f"{do} {arguments}: expected {self.rows} rows, found {said['rows']}")
        return float(said["seconds"])


def warehouse(options: Options, engine: str) -> list[Row]:
    """Rows ``warehouses.<engine>.load``, ``.unload``, ``.read``, ``.pulled`` and ``.reader_start``."""
    with opened(options, engine, options.size(1_000_000, 20_000)) as both:
        load = both.pairs("load", both.load_ours, both.load_bare)
        unload = both.pairs("unload", both.unload_ours, both.unload_bare)
        read = both.pairs("read", both.read_ours, both.read_bare)
        channels = both.ours.ask("describe", table="ours_0", rows=both.rows)

        def pulled() -> float:
            return both.asked(both.ours, "pulled", folder=channels["all"])

        pull = both.pairs("pulled", pulled, both.sort_bare)
        starts = [both.ours.ask("pulled", folder=channels["none"])["seconds"] for _ in range(options.rounds())]
    return _rows(f"warehouses.{engine}", both.rows, both.place, load, unload, read, pull, Series.of(starts))


@contextlib.contextmanager
def opened(options: Options, engine: str, rows: int) -> Iterator[Both]:
    """The engine's server, both sides, and the object in the store."""
    scratch = options.folder(engine)
    file = scratch / "rows.parquet"
    options.say(f"writing {rows:,} rows of Parquet")
    write_parquet(file, rows)
    with ENGINES[engine](scratch) as place:
        env = {**os.environ, **place.env}
        module = f"benchmarks.warehouses.bare.{engine.replace('-', '_')}"
        with (
            warm("benchmarks.warehouses.ours", log=scratch / "ours.log", env=env) as ours,
            warm(module, log=scratch / "bare.log", env=env) as bare,
        ):
            for side in (ours, bare):
                side.ask("open", place=place.to_json())
            ours.ask("put", key=KEY, file=str(file))
            yield Both(options, place, ours, bare, rows, itertools.count())


def _rows(
    name: str,
    rows: int,
    place: Place,
    load: tuple[Series, Series],
    unload: tuple[Series, Series],
    read: tuple[Series, Series],
    pull: tuple[Series, Series],
    starts: Series,
) -> list[Row]:
    def made(what: str, title: str, found: tuple[Series, Series], peer: str, most: float) -> Row:
        bar = Bar("ours / peer", "most", most)
        return row(f"{name}.{what}", title, "s", *found, peer_name=peer, bar=bar, note=place.note)

    return [
        made(
            "load",
            f"A Parquet object of {rows:,} rows into a table, with checks, receipt and ledger",
            load,
            place.loader,
            LOAD,
        ),
        made("unload", f"{rows:,} rows as Parquet parts, with their hashes", unload, place.unloader, UNLOAD),
        made("read", f"{rows:,} rows as Arrow, batch by batch", read, place.reader, READ),
        made("pulled", f"{rows:,} rows in order into a job, by its reader process", pull, place.reader, READ),
        row(
            f"{name}.reader_start",
            "A job's reader process: start, connect, a query without rows",
            "s",
            starts,
            note=place.note,
        ),
    ]
