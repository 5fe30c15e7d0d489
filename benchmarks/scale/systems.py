"""One and ten systems under `mlplatform serve --ui`: loading the definitions, the first page, and memory."""

from __future__ import annotations

import time

import httpx
import psutil

from benchmarks.options import Options
from benchmarks.overhead.bench import platform_up
from benchmarks.project import environment, write_system
from benchmarks.rows import Row, Series, row
from benchmarks.start.bench import fresh
from mlplatform.platform import Platform
from mlplatform.platform.locate import package_folder

SHIPPED = package_folder() / "defs" / "stock_prices"
ASSETS = "query Assets { assetNodes { id assetKey { path } groupName } }"
"""Of what the page of assets asks for, the least."""


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
            f"All assets' keys and groups from the UI's server, {many} systems",
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
    env = environment(scratch, scratch / "home")
    options.say(f"{count} system(s): definitions")
    loads = [fresh("definitions", "bench_project.definitions", env) for _ in range(options.rounds(5) + 1)]
    start = time.perf_counter()
    with platform_up(options, scratch) as platform:
        ready = time.perf_counter() - start
        pages = [_page(platform) for _ in range(options.rounds(5) + 1)]
        memory = _memory(platform)
    return {
        "definitions": Series.of([s["seconds"] for s in loads[1:]]),
        "page": Series.of(pages[1:]),
        "ready": Series.of([ready]),
        "memory": Series.of([memory]),
    }


def _page(platform: Platform) -> float:
    """Seconds to fetch the page and the assets it shows."""
    addresses = platform.profile.addresses
    url = f"http://{addresses.host}:{addresses.ui_port}"
    start = time.perf_counter()
    httpx.get(f"{url}/assets", timeout=60).raise_for_status()
    answer = httpx.post(f"{url}/graphql", json={"query": ASSETS}, timeout=60)
    seconds = time.perf_counter() - start
    nodes = answer.json()["data"]["assetNodes"]
    if len(nodes) < len(platform.specs):
        raise RuntimeError(f"the page shows {len(nodes)} assets of {len(platform.specs)} systems")
    return seconds


def _memory(platform: Platform) -> float:
    """MiB of all processes of the supervisor, shared pages counted once (PSS)."""
    from mlplatform.serving.supervisor import read_status

    found = read_status(platform.home.run)
    if found is None:
        raise RuntimeError("nothing runs")
    tree = psutil.Process(int(found.process.partition("-")[0]))
    total = 0
    for process in (tree, *tree.children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20
