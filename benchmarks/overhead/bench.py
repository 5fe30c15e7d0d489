"""Refreshes of a warm platform (`mlplatform serve --ui`), each followed by the plain script on the same rows."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.options import Options
from benchmarks.overhead import work as works
from benchmarks.overhead.timeline import CAUSES, causes, run_times
from benchmarks.overhead.work import Work, defs, query, write_file
from benchmarks.processes import ROOT, server, tail
from benchmarks.project import environment, write_system
from benchmarks.rounds import paired
from benchmarks.rows import Bar, Row, Series, row
from mlplatform.core.retrain import Request
from mlplatform.platform import Platform, open_platform

SYSTEM, ENDPOINT = "bench", "bench/bench_endpoint"
PATIENCE_S = 600.0
STEPS = 4


def s1(options: Options) -> list[Row]:
    """Rows ``refresh.overhead.s1.*``: the shipped system's size, the overhead in seconds and by cause."""
    return _overhead(options, "refresh.overhead.s1", "SMALL" if options.quick else "S1", rounds=5, bar=None)


def wide(options: Options) -> list[Row]:
    """Rows ``refresh.overhead.wide.*``: work of more than a minute."""
    bar = Bar("ours / peer", "most", 1.3)
    return _overhead(options, "refresh.overhead.wide", "SMALL" if options.quick else "WIDE", rounds=5, bar=bar)


def _overhead(options: Options, name: str, size: str, *, rounds: int, bar: Bar | None) -> list[Row]:
    work: Work = getattr(works, size)
    scratch = options.folder(name)
    write_system(scratch, SYSTEM, defs(work), {"features.sql": query(work)})
    history = scratch / "history.csv"
    write_file(history, work, 0)
    files = [history]
    with platform_up(options, scratch) as platform:
        options.say(f"history of {work.days * work.tickers:,} rows, first model")
        platform.store.put("bench/history.csv", history)
        _until(lambda: _live(platform) >= 1, "the first generation", scratch)

        def refresh() -> dict[str, float]:
            csv = scratch / f"step-{len(files):03d}.csv"
            write_file(csv, work, len(files))
            files.append(csv)
            return _refresh(platform, csv, scratch)

        def plain() -> dict[str, float]:
            command = [sys.executable, "-m", "benchmarks.overhead.plain", size, str(scratch / "plain"), str(files[-1])]
            with standing_still(platform):
                start = time.perf_counter()
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
                seconds = time.perf_counter() - start
            if done.returncode:
                raise RuntimeError(f"the plain script ended with {done.returncode}: {done.stderr[-2000:]}")
            return {"whole": seconds}

        refresh(), plain()
        pairs = paired(refresh, plain, rounds=options.rounds(rounds), say=lambda t: options.say(f"{name}: {t}"))
    return _rows(name, work, pairs, bar)


def _rows(name: str, work: Work, pairs: list[tuple[dict[str, float], dict[str, float]]], bar: Bar | None) -> list[Row]:
    mine, theirs = Series.of([o["whole"] for o, _ in pairs]), Series.of([p["whole"] for _, p in pairs])
    overhead = Series.of([o["whole"] - p["whole"] for o, p in pairs])
    about = f"{work.days * work.tickers:,} rows and more in the table, {work.trials} trials of {work.trees} trees"
    parts = [
        row(f"{name}.part{place}.{cause}", f"Of it: {title}", "s", Series.of([o[cause] for o, _ in pairs]))
        for place, (cause, title) in enumerate(CAUSES.items())
    ]
    runs = Series.of([o["queue"] + o["process"] for o, _ in pairs])
    steps = Series.of([o["between"] / (STEPS - 1) for o, _ in pairs])
    title = "Arrival of the last file to the new generation answering"
    return [
        row(name, title, "s", mine, theirs, peer_name="one plain script, fresh process", bar=bar, note=about),
        row(f"{name}.seconds", "The platform's own share of it: ours less the script", "s", overhead),
        row(f"{name}.run", "Fixed cost of a run: queue, process, imports, definitions", "s", runs),
        row(f"{name}.step", "Fixed cost of a step: from the end of one to the beginning of the next", "s", steps),
        *parts,
    ]


@contextmanager
def platform_up(options: Options, scratch: Path, *, home: str = "home") -> Iterator[Platform]:
    """The project in `scratch` under `mlplatform serve --ui`, everything ready."""
    from mlplatform.serving.supervisor import read_status

    env = environment(scratch, scratch / home)
    options.say("starting the platform")

    def ready() -> bool:
        found = read_status(scratch / home / "run")
        return found is not None and {p.state for p in found.programs} == {"ready"}

    command = [sys.executable, "-m", "mlplatform.cli.main", "serve", "--ui"]
    with server(command, ready=ready, log=scratch / "serve.log", env=env, deadline_s=300):
        # Dagster's daemon begins to look at sensors a little after its pages answer.
        yield open_platform(env)


def processes_of(platform: Platform) -> list[psutil.Process]:
    """Of the supervisor that runs, which comes first, and of all that it started."""
    from mlplatform.serving.supervisor import read_status

    found = read_status(platform.home.run)
    if found is None:
        raise RuntimeError("nothing runs")
    supervisor = psutil.Process(int(found.process.partition("-")[0]))
    return [supervisor, *supervisor.children(recursive=True)]


@contextmanager
def standing_still(platform: Platform) -> Iterator[None]:
    """All processes of the platform are stopped meanwhile, so that the script has the machine for itself."""
    stopped = processes_of(platform)
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(stopped):
            process.resume()


def _refresh(platform: Platform, csv: Path, scratch: Path) -> dict[str, float]:
    """Put a file, wait for the generation it leads to; seconds by cause."""
    before, asked = _live(platform), len(_requests(platform))
    put = time.time()
    platform.store.put(f"bench/{csv.name}", csv)
    _until(lambda: _live(platform) > before or _refused(platform, asked), f"a generation behind {before}", scratch)
    live = time.time()
    if _live(platform) == before:
        raise RuntimeError(f"the refresh led to no generation: {_requests(platform)[asked].message}")
    request = _requests(platform)[asked]
    _until(lambda: not _requests(platform)[asked].open, "the request's end", scratch)
    if len(_requests(platform)) != asked + 1:
        raise RuntimeError("one file led to several requests: the rounds are not apart")
    receipt = platform.system(SYSTEM).receipts("bench_table", limit=1)[-1]
    from dagster import DagsterInstance

    run_id = _requests(platform)[asked].run_id
    with DagsterInstance.from_config(str(platform.home.dagster)) as instance:
        _until(lambda: "bench_endpoint end" in run_times(instance, run_id), "the run's end", scratch)
        run = run_times(instance, run_id)
    return causes(
        put=put, loaded=receipt.loaded_at.timestamp(), requested=request.requested_at.timestamp(), run=run, live=live
    )


def _live(platform: Platform) -> int:
    return platform.endpoints.state(ENDPOINT).live_generation


def _requests(platform: Platform) -> list[Request]:
    return platform.system(SYSTEM).retrain("bench_endpoint").requests()


def _refused(platform: Platform, asked: int) -> bool:
    """Whether the request ended without a generation."""
    found = _requests(platform)[asked:]
    return bool(found) and not found[0].open and not found[0].message.startswith("generation")


def _until(true: Callable[[], bool], what: str, scratch: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            logs = "\n".join(f"{p.name}: {tail(p, 800)}" for p in (scratch / "home" / "logs").glob("*.log"))
            raise RuntimeError(f"waited {PATIENCE_S:.0f} s for {what}; {logs}")
        time.sleep(0.05)
