"""The demo's own installation: a home of its own, and all programs under one supervisor."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from examples.stock_prices.loop import PATIENCE_S, wait_for
from mlplatform.errors import PlatformError
from mlplatform.serving.listening import free_port
from mlplatform.serving.supervisor import read_status
from mlplatform.spec.process_name import is_alive


def own_environment() -> dict[str, str]:
    """This process's environment with a home of the demo's own and free ports where none were asked for."""
    env = dict(os.environ)
    env["MLPLATFORM_HOME"] = str(Path(env.get("MLPLATFORM_HOME") or Path.cwd() / ".mlplatform").absolute() / "demo")
    for name in ("GATEWAY", "UI", "TRACKER"):
        env.setdefault(f"MLPLATFORM_{name}_PORT", str(free_port()))
    return env


def fresh_home(home: Path) -> str:
    """Clear away an earlier demo; says what it found."""
    if not home.exists():
        return f"Starting with an empty home at {home}."
    kept = read_status(home / "run")
    if kept is not None and kept.alive:
        print(f"Stopping the demo that still runs (pid {kept.pid}) ...", flush=True)
        os.kill(kept.pid, signal.SIGTERM)
        wait_for("it to end", lambda: is_alive(kept.process), timeout_s=60, until=lambda alive: not alive)
    shutil.rmtree(home)
    return f"Found the state of an earlier demo at {home}; starting clean."


def serve(env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start all of it, its output in a log beside the home."""
    print("Starting worker, gateway, tracker and Dagster under one supervisor ...", flush=True)
    log = _log(Path(env["MLPLATFORM_HOME"]))
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "mlplatform.cli.main", "serve", "--ui"]
    with log.open("wb") as output:
        return subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)


def wait_ready(process: subprocess.Popen[bytes], home: Path) -> None:
    """Until every program is ready. Raises PlatformError where it ended, TimedOutError where it takes too long."""

    def states() -> set[str]:
        if process.poll() is not None:
            raise PlatformError(
                f"'mlplatform serve' ended with exit code {process.returncode}.", next_step=f"See {_log(home)}."
            )
        found = read_status(home / "run")
        return {p.state for p in found.programs} if found is not None else set()

    wait_for("the platform to be ready", states, timeout_s=PATIENCE_S, until=lambda found: found == {"ready"})


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop all of it; what does not end in a minute is killed."""
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _log(home: Path) -> Path:
    return home.parent / "demo-serve.log"
