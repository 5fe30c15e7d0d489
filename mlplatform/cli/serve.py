"""`mlplatform serve | status`: everything that runs all the time under one supervisor, and how it is."""

from __future__ import annotations

import json as jsonlib
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from mlplatform.cli.groups import OPERATION
from mlplatform.cli.output import Json, show, table
from mlplatform.spec.home import write_atomically

if TYPE_CHECKING:
    from mlplatform.platform import Platform
    from mlplatform.serving.program import Program, ProgramStatus


def register(app: App) -> None:
    """Add these commands to `app`."""
    app.command(serve, group=OPERATION)
    app.command(status, group=OPERATION)


def serve(*, ui: bool = False) -> int:
    """Run the worker, the gateway with its endpoints, and Dagster's daemon until told to stop (Ctrl-C or SIGTERM).

    Whatever dies is started again. One supervisor a home.

    Parameters
    ----------
    ui
        Also the Dagster UI and the experiment tracker.
    """
    from mlplatform.platform import open_platform
    from mlplatform.platform.applied import apply_specs
    from mlplatform.serving.gateway_workers import gateway_programs
    from mlplatform.serving.listening import check_free, listen
    from mlplatform.serving.supervisor import Supervisor, refuse_if_running
    from mlplatform.serving.supervisor_lock import SupervisorLock

    logging.getLogger("mlplatform").setLevel(logging.INFO)
    platform = open_platform()
    refuse_if_running(platform.home)
    # Before ports are asked for and runs are looked at: what a killed supervisor left holds the ones and is the others.
    lock = SupervisorLock.take(platform.home.run)
    addresses = platform.profile.addresses
    print(
        f"Home {platform.home.root}, profile {platform.profile.name}, systems: {', '.join(platform.specs) or 'none'}",
        flush=True,
    )
    if ui:
        check_free(addresses.host, addresses.ui_port, purpose="the Dagster UI")
        if _has_pages(platform):
            check_free(addresses.host, addresses.tracker_port, purpose="the experiment tracker")
    listening = listen(addresses.host, addresses.gateway_port)
    _prepare(platform)
    for name in apply_specs(platform, now=datetime.now(UTC)):
        print(f"System {name}: its YAML is now the live one", flush=True)
    env = child_environment(platform)
    programs = [*gateway_programs(listening, addresses.gateway_workers, env=env), *_programs(platform, env, ui=ui)]
    told = False

    def tell(found: tuple[ProgramStatus, ...]) -> None:
        nonlocal told
        if not told and all(p.state == "ready" for p in found):
            told = True
            print(f"Ready.\n{table(_addresses(platform, ui=ui))}", flush=True)

    try:
        Supervisor(programs, run=platform.home.run, logs=platform.home.logs, lock=lock, on_change=tell).run()
    finally:
        listening.close()
    return 0


def status(*, json: Json = False) -> int:
    """Say how everything is: programs and their logs, lag, tables, endpoints, jobs, open requests. Exit code 10 if something is down."""
    from mlplatform.platform import open_platform
    from mlplatform.platform.status import platform_status
    from mlplatform.serving.supervisor import read_status

    platform = open_platform()
    supervisor = read_status(platform.home.run)
    running = supervisor.programs if supervisor is not None and supervisor.alive else ()
    programs = [
        {"name": p.name, "state": p.state, "pid": p.pid, "restarts": p.restarts, "since": p.since, "log": p.log}
        for p in running
    ]
    found = platform_status(platform, programs=programs, now=datetime.now(UTC))
    if json:
        show(found, as_json=True)
    else:
        print(f"Home {platform.home.root} ({platform.profile.name}): {'healthy' if found.healthy else 'NOT healthy'}")
        for title, rows in (("Programs", found.programs), ("Streams", found.streams), ("Tables", found.tables), ("Endpoints", found.endpoints), ("Jobs", found.jobs), ("Open requests", found.requests)):  # fmt: skip
            if rows:
                print(f"\n{title}\n{table(rows)}")
        for trouble in found.troubles:
            print(f"\ntrouble: {trouble}")
    return 0 if found.healthy else 10


def child_environment(platform: Platform) -> dict[str, str]:
    """The environment of everything that `serve` starts: the same home, profile and systems, Dagster's home among them."""
    return {
        **os.environ,
        "MLPLATFORM_HOME": str(platform.home.root),
        "MLPLATFORM_PROFILE": platform.profile.name,
        "MLPLATFORM_DEFS": str(platform.defs),
        "DAGSTER_HOME": str(platform.home.dagster),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        # Threads of a code server: two may be held by sensors that wait, and two cores give six.
        "DAGSTER_GRPC_MAX_WORKERS": os.environ.get("DAGSTER_GRPC_MAX_WORKERS", "12"),
        # With what a tick costs besides, under the five seconds between two rounds of its daemon: one that is still going on
        # then misses a round. See `mlplatform.components.attention`.
        "MLPLATFORM_SENSOR_WAIT_S": os.environ.get("MLPLATFORM_SENSOR_WAIT_S", "3.5"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # The tracker's server starts eight processes for jobs otherwise, and nothing here is one.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "DO_NOT_TRACK": "1",
    }


def _prepare(platform: Platform) -> None:
    """What must be there before several processes look for it: Dagster's and the tracker's databases."""
    print("Preparing state ...", flush=True)
    platform.asset_events.prepare()
    for run in platform.asset_events.sweep():
        print(f"Run {run} was left behind by a process that is gone: marked as failed", flush=True)
    for name in platform.asset_events.bring_back(datetime.now(UTC)):
        print(f"{name} was evaluated in the future, before the clock was set back: it goes on now", flush=True)
    for system in platform.specs:
        platform.system(system).prepare()


def _programs(platform: Platform, env: Mapping[str, str], *, ui: bool) -> list[Program]:
    from mlplatform.serving.program import Program
    from mlplatform.serving.supervisor import http_ready

    host, port = platform.profile.addresses.host, platform.profile.addresses.ui_port
    where = ["-w", str(_workspace(platform))]
    worker = Program("worker", [sys.executable, "-m", "mlplatform.worker.main"], env=env, stop_s=40)
    home = platform.home.dagster
    if not ui:
        daemon = [_script("dagster-daemon"), "run", *where]
        return [worker, Program("dagster-daemon", daemon, env=env, cwd=home, stop_s=30, by_wall_clock=True)]
    dagster = [_script("dagster"), "dev", *where, "-h", host, "-p", str(port)]
    ready = http_ready(f"http://{host}:{port}/server_info")
    pages = Program("dagster", dagster, env=env, cwd=home, ready=ready, stop_s=30, by_wall_clock=True)
    return [worker, pages, *_tracker(platform, env)]


def _workspace(platform: Platform) -> Path:
    """A workspace file that names this project's code location as its own commands do."""
    from mlplatform.platform.locate import definitions_module, working_folder

    module = definitions_module(platform.defs)
    entry = {
        "module_name": module,
        "working_directory": str(working_folder(platform.defs)),
        "location_name": module.partition(".")[0],
    }
    path = platform.home.dagster / "workspace.yaml"
    write_atomically(path, jsonlib.dumps({"load_from": [{"python_module": entry}]}).encode())
    return path


def _tracker(platform: Platform, env: Mapping[str, str]) -> list[Program]:
    from mlplatform.ports.tracking import SelfHosted
    from mlplatform.serving.program import Program
    from mlplatform.serving.supervisor import http_ready

    if not isinstance(platform.tracking, SelfHosted):
        return []
    host, port = platform.profile.addresses.host, platform.profile.addresses.tracker_port
    command = platform.tracking.ui_command(host, port)
    return [Program("tracker", command, env=env, ready=http_ready(f"http://{host}:{port}/health"), stop_s=10)]


def _has_pages(platform: Platform) -> bool:
    """Whether the tracker's pages are served here; a server of its own has them elsewhere."""
    from mlplatform.ports.tracking import SelfHosted

    return isinstance(platform.tracking, SelfHosted)


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _addresses(platform: Platform, *, ui: bool) -> list[dict[str, Any]]:
    a = platform.profile.addresses
    rows = [{"what": "Gateway's API docs", "address": f"http://{a.host}:{a.gateway_port}/schema"}]
    if ui:
        rows.insert(0, {"what": "Dagster UI", "address": f"http://{a.host}:{a.ui_port}"})
        if _has_pages(platform):
            rows.append({"what": "Experiment tracker", "address": f"http://{a.host}:{a.tracker_port}"})
    return rows
