"""Imports and definitions, a fresh process each time; definitions beside those of an empty Dagster project."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.options import Options
from benchmarks.processes import ROOT
from benchmarks.project import environment
from benchmarks.rounds import paired, series
from benchmarks.rows import Bar, Row, Series, row

MODULES = {
    "mlplatform": "import mlplatform",
    "mlplatform.cli.main": "import of the command line",
    "mlplatform.worker.main": "import of the worker",
    "mlplatform.gateway.app": "import of a gateway worker's app",
    "mlplatform.components.platform_resource": "import of what a run needs at least (Dagster, the platform)",
}
EMPTY = '''"""A Dagster project with nothing in it, as its own scaffold makes it."""

from pathlib import Path

from dagster import Definitions, definitions, load_from_defs_folder


@definitions
def defs() -> Definitions:
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
'''


def imports(options: Options) -> list[Row]:
    """Rows ``start.import.<module>``; the bar is on the package itself."""
    found = []
    for module, title in MODULES.items():
        options.say(title)
        fresh("import", module, {})
        seconds = [fresh("import", module, {})["seconds"] for _ in range(options.rounds())]
        bar = Bar("ours", "most", 0.3) if module == "mlplatform" else None
        found.append(row(f"start.import.{module}", title.capitalize(), "s", Series.of(seconds), bar=bar))
    return found


def definitions(options: Options) -> list[Row]:
    """Row ``start.definitions``: the shipped system's definitions beside an empty project's."""
    scratch = options.folder("start-definitions")
    empty = empty_project(scratch)
    env = environment(scratch, scratch / "home") | {"MLPLATFORM_DEFS": str(ROOT / "mlplatform" / "defs")}

    def ours() -> Mapping[str, float]:
        return fresh("definitions", "mlplatform.definitions", env)

    def peer() -> Mapping[str, float]:
        return fresh("definitions", empty, env)

    ours(), peer()
    pairs = paired(ours, peer, rounds=options.rounds(), say=lambda t: options.say(f"definitions: {t}"))
    title = "Definitions of the shipped system, fresh process, from the first import"
    name = "an empty Dagster project"
    return [
        row(
            "start.definitions",
            title,
            "s",
            *series(pairs, "seconds"),
            peer_name=name,
            bar=Bar("ours / peer", "most", 1.5),
        ),
        row(
            "start.definitions.modules", "Modules loaded by then", "modules", *series(pairs, "modules"), peer_name=name
        ),
    ]


def rehearsal(options: Options) -> list[Row]:
    """Row ``start.rehearsal``: `mlplatform test` of the shipped system, as a user's own CI runs it."""
    scratch = options.folder("start-rehearsal")
    env = environment(scratch, scratch / "home") | {"MLPLATFORM_DEFS": str(ROOT / "mlplatform" / "defs")}
    command = [sys.executable, "-m", "mlplatform.cli.main", "test", "stock_prices"]
    seconds = []
    for number in range(options.rounds() + 1):
        began = time.perf_counter()
        done = subprocess.run(command, env=env, cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        if number:  # the first one warms the machine's caches
            seconds.append(time.perf_counter() - began)
            options.say(f"mlplatform test: {seconds[-1]:.1f} s")
    title = "`mlplatform test` of the shipped system: sample rows from stream to a judged window, fresh process"
    return [row("start.rehearsal", title, "s", Series.of(seconds))]


def empty_project(folder: Path) -> str:
    """Write a project with nothing in it; the module of its definitions."""
    package = folder / "empty_project"
    (package / "defs").mkdir(parents=True)
    for module in (package, package / "defs"):
        (module / "__init__.py").write_text("")
    (package / "definitions.py").write_text(EMPTY)
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "empty_project"\nversion = "0"\n\n[tool.dg]\ndirectory_type = "project"\n\n'
        '[tool.dg.project]\nroot_module = "empty_project"\n'
    )
    return "empty_project.definitions"


def fresh(kind: str, module: str, env: Mapping[str, str]) -> Mapping[str, float]:
    """What `benchmarks.start.load` measured in a process of its own; an empty `env` means this one's."""
    command = [sys.executable, "-m", "benchmarks.start.load", kind, module]
    done = subprocess.run(command, env=dict(env) or None, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))
