"""`make demo` as a process, and what it says happened."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).parents[2]


def whole_loop(env: Mapping[str, str], report: Path, *options: str, timeout_s: float = 1400) -> dict[str, Any]:
    """Runs it to its end in the environment `env`: the facts that it wrote to `report`, and its `output`."""
    command = [sys.executable, "-m", "examples.stock_prices.demo", "--report", str(report), *options]
    told = {**env, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(command, env=told, cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return {**json.loads(report.read_text())["facts"], "output": done.stdout}


def running_of(home: Path) -> list[dict[str, Any]]:
    """Processes whose home lies under `home`."""
    found = []
    for process in psutil.process_iter(["pid", "name"]):
        try:
            if process.environ().get("MLPLATFORM_HOME", "").startswith(str(home)):
                found.append(process.info)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found
