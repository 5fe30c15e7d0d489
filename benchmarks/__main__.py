"""``python -m benchmarks [ID …] [--full] [--quick]``: measure, write `results.json`, render `docs/benchmarks.md`.

Results are kept after each benchmark, so that a run can be broken off and taken up again with the ids that are missing.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks.catalogue import ALL, Benchmark, select
from benchmarks.machine import machine, peers, versions
from benchmarks.options import Options
from benchmarks.render import render, table
from benchmarks.results import Results
from benchmarks.rows import Row

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results.json")
DOCS = ROOT / "docs"


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 where a benchmark could not be measured. A bar that is missed is told, and is no failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "ids", nargs="*", metavar="ID", help="such as 'serving' or 'serving.mlserver' (default: all but the long ones)"
    )
    parser.add_argument(
        "--full", action="store_true", help="also what takes long: " + ", ".join(b.id for b in ALL if b.full)
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes and few rounds, to see that it works; nothing is kept"
    )
    parser.add_argument("--missing", action="store_true", help="only what has no result of this commit yet")
    parser.add_argument("--render", action="store_true", help="only render what was measured before")
    parser.add_argument("--workers", type=int, default=1, help="server processes of ours and of each peer (default: 1)")
    parser.add_argument(
        "--scratch", type=Path, default=ROOT / ".test-env", help="disk to measure on (default: .test-env)"
    )
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing that was started is left behind
    if arguments.render:
        render(Results.read(RESULTS), DOCS)
        return 0
    chosen = select(arguments.ids, full=arguments.full)
    results = Results.read(RESULTS)
    here = machine()
    if results.elsewhere(here) and not arguments.quick:
        print(
            f"The figures there were measured on {results.machine['processor']}: this machine begins anew.", flush=True
        )
        results = Results()
    if arguments.missing:
        chosen = [b for b in chosen if not results.has(b.id, commit=here["commit"])]
    print(
        f"{len(chosen)} benchmarks, about {sum(b.minutes for b in chosen):.0f} minutes: {', '.join(b.id for b in chosen)}",
        flush=True,
    )
    failed = []
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    for benchmark in chosen:
        rows = _measured(benchmark, arguments)
        if rows is None:
            failed.append(benchmark.id)
            continue
        print(table(rows), flush=True)
        if not arguments.quick:
            results.machine = here
            results.put(
                rows, benchmark=benchmark.id, commit=here["commit"], versions={**versions(*PACKAGES), **peers()}
            )
            results.write(RESULTS)
            render(results, DOCS)
    missed = [r.id for r in results.rows.values() if r.holds is False]
    if missed and not arguments.quick:
        print(f"\nBars missed: {', '.join(missed)}")
    if failed:
        print(f"\nNot measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _measured(benchmark: Benchmark, arguments: argparse.Namespace) -> Sequence[Row] | None:
    """The benchmark's rows; None where it broke (this is the process's boundary: the next one still runs)."""
    scratch = Path(tempfile.mkdtemp(dir=arguments.scratch, prefix="scratch-"))
    options = Options(scratch, quick=arguments.quick, full=arguments.full, workers=arguments.workers)
    print(f"\n{benchmark.id}", flush=True)
    start = time.monotonic()
    try:
        return benchmark.run(options)
    except Exception:  # noqa: BLE001 - the process's boundary, told in full
        traceback.print_exc()
        return None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        print(f"  {time.monotonic() - start:.0f} s", flush=True)


PACKAGES = (
    "boto3",
    "dagster",
    "duckdb",
    "great-expectations",
    "impyla",
    "litestar",
    "mlflow",
    "numpy",
    "onnxruntime",
    "pyarrow",
    "redshift-connector",
    "snowflake-connector-python",
    "uvicorn",
    "xgboost",
)

if __name__ == "__main__":
    sys.exit(main())
