"""Every benchmark by id. Its module is imported when it runs, so that one that cannot be imported stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from benchmarks.options import Options
from benchmarks.rows import Row


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        id: its rows have this id, or begin with it and a dot.
        module, function: what measures it.
        argument: given to the function after the options, where one function measures several.
        minutes: about so long on two cores.
        full: left out unless named, or asked for with ``--full``.
    """

    id: str
    module: str
    function: str
    minutes: float
    argument: str = ""
    full: bool = False

    def run(self, options: Options) -> Sequence[Row]:
        """Measure."""
        function: Callable[..., Sequence[Row]] = getattr(import_module(self.module), self.function)
        return function(options, self.argument) if self.argument else function(options)


_SERVING = "benchmarks.serving.bench"
_DRIFT = "benchmarks.drift.bench"
_START = "benchmarks.start.bench"
_FRESH = "benchmarks.freshness.bench"
_WAREHOUSES = "benchmarks.warehouses.bench"
_WAREHOUSES_LONG = "benchmarks.warehouses.long"

ALL = (
    *(Benchmark(f"serving.{n}", _SERVING, "serving", 1.5, n) for n in ("asgi", "mlserver", "mlflow", "bentoml", "ray")),
    Benchmark("ingest.copy_ratio", "benchmarks.ingest.bench", "ingest", 3),
    Benchmark("ingest.keyed", "benchmarks.ingest.keyed", "keyed", 4),
    Benchmark("drift.bare", _DRIFT, "bare", 4),
    Benchmark("drift.nannyml", _DRIFT, "nannyml", 2),
    Benchmark("drift.evidently", _DRIFT, "evidently", 7),
    Benchmark("start.import", _START, "imports", 0.5),
    Benchmark("start.definitions", _START, "definitions", 1),
    Benchmark("start.rehearsal", _START, "rehearsal", 1),
    Benchmark("refresh.freshness", _FRESH, "freshness", 2.5),
    Benchmark("refresh.week", "benchmarks.freshness.week", "week", 2),
    Benchmark("refresh.overhead.s1", "benchmarks.overhead.bench", "s1", 3.5),
    *(
        Benchmark(f"warehouses.{n}", _WAREHOUSES, "warehouse", 3, n)
        for n in ("ducklake", "ducklake-team", "redshift", "snowflake", "hive")
    ),
    *(Benchmark(f"automl.{n}", "benchmarks.automl.bench", n, 1.5) for n in ("prices", "passengers")),
    Benchmark("arrivals", "benchmarks.arrivals.bench", "tick", 4),
    Benchmark("aws.readers", "benchmarks.aws.readers", "readers", 3),
    Benchmark("aws.fresh", "benchmarks.aws.fresh", "fresh", 3),
    Benchmark("aws.job", "benchmarks.aws.job", "job", 4),
    Benchmark("loop.scale", "benchmarks.scale.systems", "systems", 8),
    Benchmark("refresh.overhead.wide", "benchmarks.overhead.bench", "wide", 20, full=True),
    Benchmark("loop.table", "benchmarks.scale.table", "table", 4, full=True),
    *(
        Benchmark(f"warehouses.memory.{n}", _WAREHOUSES_LONG, "memory", 6, n, full=True)
        for n in ("ducklake", "redshift")
    ),
    Benchmark("warehouses.executors", _WAREHOUSES_LONG, "executors", 10, full=True),
    Benchmark("refresh.half_hour", _FRESH, "half_hour", 32, full=True),
)


def select(ids: Sequence[str], *, full: bool) -> list[Benchmark]:
    """The benchmarks that `ids` name, by id or by the part before a dot (``serving``); without ids all that are not full.

    Raises:
        ValueError: an id names none.
    """
    if not ids:
        return [b for b in ALL if full or not b.full]
    chosen = []
    for wanted in ids:
        found = [b for b in ALL if b.id == wanted or b.id.startswith(f"{wanted}.")]
        if not found:
            raise ValueError(f"there is no benchmark '{wanted}'; there are: {', '.join(b.id for b in ALL)}")
        chosen += [b for b in found if b not in chosen]
    return chosen
