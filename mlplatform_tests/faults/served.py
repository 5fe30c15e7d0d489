"""`mlplatform serve` on a project and a home of its own, as a process that tests kill, starve and start again."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from mlplatform.spec.scaffold import make_project
from mlplatform_tests.cli.commands import Shell
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.serving.until import until

START_S = 120.0


@dataclass
class Supervised:
    """One `serve`, with a log of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def ready(self) -> bool:
        return "Ready." in self.said

    def wait_ready(self) -> Supervised:
        until(lambda: self.ready or self.process.poll() is not None, timeout_s=START_S)
        assert self.ready, self.said
        return self

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)


@dataclass
class Served:
    """A shop, and every `serve` that was started on it."""

    shell: Shell
    started: list[Supervised] = field(default_factory=list)

    @classmethod
    def make(cls, root: Path) -> Served:
        make_project("shop", root / "shop")
        more = {
            "MLPLATFORM_DEFS": str(root / "shop" / "shop" / "defs"),
            "MLPLATFORM_GATEWAY_PORT": str(free_port()),
            "MLPLATFORM_GATEWAY_WORKERS": "1",
        }
        return cls(Shell(root, more))

    def start(self) -> Supervised:
        """Start one more."""
        path = self.shell.root / f"serve-{len(self.started)}.log"
        command = [sys.executable, "-m", "mlplatform.cli.main", "serve"]
        with path.open("wb") as log:
            process = subprocess.Popen(command, env=self.shell.env, stdout=log, stderr=log)
        self.started.append(Supervised(process, path))
        return self.started[-1]

    def program(self, name: str) -> int:
        """Pid of a program that runs now."""
        programs = self.shell.run("status", "--json").json["programs"]
        return int(next(p["pid"] for p in programs if p["name"] == name))

    def close(self) -> None:
        """Leave nothing behind."""
        for one in self.started:
            if one.process.poll() is None:
                one.stop()
