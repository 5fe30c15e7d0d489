"""A warm installation for the storm: a system that refreshes itself often, its supervisor, and an init that starts it again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from mlplatform.platform.line import build_features, register_candidate, release, train_candidate
from mlplatform.serving.api_keys import ApiKeys
from mlplatform.spec.scaffold import make_project
from mlplatform_tests.components.site import SMALL, SYSTEM, Site
from mlplatform_tests.packages import LINEAR
from mlplatform_tests.servers.ports import free_port

BASE_DAYS = 90
LEAVING_OUT = "mlplatform_tests.faults.storm.leaving_out:without_tests"
AGAIN_S = 0.5
"""The init waits so long before it starts the supervisor again."""


@dataclass
class Installation:
    """A site with one deployed generation; `keep` starts `mlplatform serve` and starts it again however it ends."""

    site: Site
    ports: dict[str, str]
    ui: bool = False
    more: dict[str, str] = field(default_factory=dict)
    exits: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def make(cls, root: Path, *, ui: bool = False, process: bool = False) -> Installation:
        """Load some history, train and deploy two models, each better than the one before.

        With `process`, the second is one that a process beside the gateway's worker holds.
        """
        project = make_project("storm", root / "project")
        shutil.rmtree(project.defs)
        site = Site.make(project.defs.parent)
        site.edit("stock_stream", delivery={"prefix": f"{SYSTEM}/stream/", "max_age_s": 0.5, "transform": LEAVING_OUT})
        site.edit("stock_features", window={"column": "trading_day", "last": 60}, expectations=[])
        site.edit("stock_model", gate={"metric": "r2", "threshold": 0.3, "by": "trading_day"})
        site.edit(
            "stock_monitor",
            window={"column": "trading_day", "size": 10, "lateness_s": 1},
            quality={"metric": "r2", "threshold": 0.999},
            drift=None,
            retrain={"checks": ["quality"], "cooldown_s": 0, "max_per_day": 1000},
        )
        site.put_days(0, BASE_DAYS)
        _load(site)
        site.edit("stock_model", hyperparameters={"num_round": 3, "max_depth": 2, "eta": 0.2})
        _release(site, "first")
        if process:
            shutil.copytree(LINEAR, root / "project" / "containers" / "linear")
            site.edit("stock_model", container="linear", hyperparameters={}, search={"trials": 0})
            _release(site, "second")
        site.edit("stock_model", container="xgboost", **SMALL)
        if not process:
            _release(site, "second")
        names = ("GATEWAY", "UI", "TRACKER")
        return cls(site, {f"MLPLATFORM_{name}_PORT": str(free_port()) for name in names}, ui)

    @property
    def env(self) -> dict[str, str]:
        return {**self.site.env, **self.ports, "MLPLATFORM_GATEWAY_WORKERS": "2", **self.more}

    @property
    def home(self) -> Path:
        return self.site.root / "home"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['MLPLATFORM_GATEWAY_PORT']}/predict/{SYSTEM}"

    @property
    def log(self) -> Path:
        return self.site.root / "serve.log"

    def key(self) -> str:
        """A new API key's token."""
        return ApiKeys(self.site.platform.items).create(f"{SYSTEM}/{SYSTEM}", label="storm", now=datetime.now(UTC))[0]

    def start(self) -> None:
        """Start the supervisor."""
        command = [sys.executable, "-m", "mlplatform.cli.main", "serve", *(["--ui"] if self.ui else [])]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)

    def keep(self) -> None:
        """Be its init: start it again when it ends, until `stop`. Runs in the calling thread, which its life hangs on."""
        while not self._ended.is_set():
            assert self.process is not None
            code = self.process.poll()
            if code is not None:
                self.exits.append(f"supervisor ended with {code}")
                time.sleep(AGAIN_S)
                self.start()
            time.sleep(0.05)

    def stop(self) -> int:
        """Stop the supervisor as a person does; its exit code."""
        self._ended.set()
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)

    def processes(self) -> list[psutil.Process]:
        """All processes of this home but this one, told by their environment, where jobs have the folders of theirs, or by the
        folder that they work in, as models' processes do in their package's.
        """
        found = []
        mine = str(self.home)
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                own = any(value.startswith(mine) for value in (process.cwd(), *process.environ().values()))
                if own and process.pid != os.getpid():
                    found.append(process)
        return found


def _load(site: Site) -> None:
    ingest = site.stations.ingest("stock_table")
    ingest.create()
    ingest.run()
    site.platform.close()


def _release(site: Site, run_id: str) -> None:
    """The line from table to endpoint, without its orchestrator."""
    stations = site.stations
    build_features(stations, "stock_features", parameters={}, run_id=run_id, request=None)
    train_candidate(stations, "stock_model", run_id=run_id, request=None, on_log=lambda _: None)
    register_candidate(stations, "stock_model", run_id=run_id)
    release(stations, SYSTEM, run_id=run_id, request=None)
    site.platform.close()
