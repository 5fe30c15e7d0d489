"""One and ten systems under `mlplatform serve --ui`, each with rows, a trained model and an endpoint that serves it: loading
the definitions, the first page, and memory."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.options import Options
from benchmarks.overhead.bench import platform_up, processes_of
from benchmarks.overhead.work import Work, write_file
from benchmarks.project import environment, write_system
from benchmarks.rows import Row, Series, row
from benchmarks.start.bench import fresh
from mlplatform.platform import Platform
from mlplatform.platform.locate import package_folder

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SHIPPED = package_folder() / "defs" / "stock_prices"
FILL_S = 1800.0
"""Longest wait for all of them to serve."""
HISTORY = Work(tickers=20, days=400, numbers=0, trials=6, trees=300)
"""What each system has in its table."""


def systems(options: Options) -> list[Row]:
    """Rows ``loop.scale.*``: ten copies of the shipped system beside one."""
    many = options.size(10, 3)
    one, ten = _measure(options, 1), _measure(options, many)
    name = "one system"
    memory = (ten["memory"].median - one["memory"].median) / (many - 1)
    return [
        row(
            "loop.scale.definitions",
            f"Definitions of {many} systems, fresh process",
            "s",
            ten["definitions"],
            one["definitions"],
            peer_name=name,
        ),
        row(
            "loop.scale.page",
            f"The page of assets in a browser without a cache, until its assets stand there, {many} systems",
            "s",
            ten["page"],
            one["page"],
            peer_name=name,
        ),
        row(
            "loop.scale.ready",
            f"`mlplatform serve --ui` to ready, {many} systems",
            "s",
            ten["ready"],
            one["ready"],
            peer_name=name,
        ),
        row(
            "loop.scale.memory",
            f"Memory of all processes, {many} systems",
            "MiB",
            ten["memory"],
            one["memory"],
            peer_name=name,
        ),
        row("loop.scale.memory.each", "Memory for each further system", "MiB", Series.of([memory])),
    ]


def _measure(options: Options, count: int) -> dict[str, Series]:
    scratch = options.folder(f"systems-{count}")
    for number in range(count):
        write_system(
            scratch,
            f"system_{number}",
            # Names of endpoints are unique over all systems; so are prefixes.
            (SHIPPED / "defs.yaml").read_text().replace("stock_", f"s{number}_"),
            {p.name: p.read_text().replace("stock_", f"s{number}_") for p in SHIPPED.glob("*.sql")},
        )
    history = scratch / "history.csv"
    write_file(history, HISTORY, 0)
    env = environment(scratch, scratch / "home")
    options.say(f"{count} system(s): definitions")
    loads = [fresh("definitions", "bench_project.definitions", env) for _ in range(options.rounds(5) + 1)]
    start = time.perf_counter()
    with platform_up(options, scratch) as platform:
        ready = time.perf_counter() - start
        options.say(f"{count} system(s): first rows, models and endpoints")
        _fill(platform, history, count)
        with _browser() as opened:
            pages = [_page(platform, opened) for _ in range(options.rounds(5) + 1)]
        memory = _memory(platform)
    return {
        "definitions": Series.of([s["seconds"] for s in loads[1:]]),
        "page": Series.of(pages[1:]),
        "ready": Series.of([ready]),
        "memory": Series.of([memory]),
    }


def _fill(platform: Platform, history: Path, count: int) -> None:
    """Give each system its rows, and wait until what was learnt of them serves."""
    for number in range(count):
        platform.store.put(f"s{number}_prices/base/history.csv", history)
    deadline = time.monotonic() + FILL_S
    for number in range(count):
        while not platform.endpoints.state(f"system_{number}/s{number}_prices").live_generation:
            if time.monotonic() > deadline:
                raise RuntimeError(f"waited {FILL_S:.0f} s for the endpoint of system_{number}")
            time.sleep(0.5)


@contextmanager
def _browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        raise RuntimeError("there is no Chromium; 'make system-chromium' installs Debian's")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--headless", "--disable-gpu"])
        yield opened
        opened.close()


def _page(platform: Platform, browser: Browser) -> float:
    """Seconds until the page shows an asset, in a context of its own."""
    addresses = platform.profile.addresses
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(f"http://{addresses.host}:{addresses.ui_port}/assets")
    page.get_by_text("s0_features").first.wait_for(timeout=60_000)
    seconds = time.perf_counter() - start
    context.close()
    return seconds


def _memory(platform: Platform) -> float:
    """MiB of all processes of the supervisor, shared pages counted once (PSS)."""
    total = 0
    for process in processes_of(platform):
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20
