"""Python environments of containers, each made once from a hashed lock and shared by every home of this machine.

    <cache>/environments/<key>/        a virtual environment; `complete` is written into it last
    <cache>/environments/<key>.lock    held by who makes it; others wait, and find it made
    <cache>/environments/<key>.log     what the installer said

The key is the lock's digest with the Python and the machine's kind, so that nothing in an environment ever changes; the
whole cache may be deleted at any time. What is there without `complete` was broken off, and is made anew.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlplatform.adapters.compute.process import LogTail, start, sweep
from mlplatform.adapters.containers.importable import importable_folder
from mlplatform.adapters.containers.installer import find_uv, install_commands
from mlplatform.adapters.containers.lock import environment_key
from mlplatform.errors import PermissionDeniedError, UnavailableError

INSTALL_S = 1800
"""An installer that takes longer is stopped."""

_POLL_S = 0.1
_LITTLE_BYTES = 200 * 2**20
OnLine = Callable[[str], None]


def _silent(_: str) -> None:
    return


class Environments:
    """Environments below `cache`; safe for several threads and processes.

    `env`: the installer's variables (an index's address, a proxy's). `pip`: install by it, also where there is uv.
    """

    def __init__(self, cache: Path, *, env: Mapping[str, str] | None = None, pip: bool = False) -> None:
        self._cache = cache.absolute()
        self._env = dict(os.environ if env is None else env)
        self._pip = pip

    def python(self, lock: Path, *, what: str, say: OnLine = _silent) -> Path:
        """The interpreter of the environment that `lock` describes, made if need be; `what` is whose, for messages.

        Raises:
            SpecError: the lock is none. NotFoundError: it is not there.
            UnavailableError: the packages cannot be had or stored; nothing half made is left in use.
            PermissionDeniedError: nothing can be written below the cache.
        """
        folder = self.folder(lock)
        if not _complete(folder):
            self._make(folder, lock, what, say)
        return folder / "bin" / "python"

    def folder(self, lock: Path) -> Path:
        """Where the environment of `lock` lies, or would."""
        return self._cache / "environments" / environment_key(lock)

    def ready(self, lock: Path) -> bool:
        """Whether it is made already."""
        return _complete(self.folder(lock))

    def variables(self) -> dict[str, str]:
        """What a program in such an environment needs beside it: the way to mlplatform."""
        try:
            return {"PYTHONPATH": str(importable_folder(self._cache))}
        except OSError as error:
            raise self._closed(error) from error

    def _make(self, folder: Path, lock: Path, what: str, say: OnLine) -> None:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _turn(folder.with_suffix(".lock"), lambda: say(f"{what}: another process sets up its environment …")):
                if not _complete(folder):
                    self._install(folder, lock, what, say)
        except OSError as error:
            raise self._closed(error) from error

    def _install(self, folder: Path, lock: Path, what: str, say: OnLine) -> None:
        say(f"{what}: setting up its environment from {lock.name} (once on this machine) …")
        began = time.monotonic()
        shutil.rmtree(folder, ignore_errors=True)
        log = folder.with_suffix(".log")
        log.write_bytes(b"")
        try:
            for command in install_commands(folder, lock, uv=None if self._pip else find_uv()):
                self._run(command, log, what, say)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        (folder / "complete").write_text(f"{lock}\n", "utf-8")
        say(f"{what}: its environment is ready after {time.monotonic() - began:.0f} s: {folder}")

    def _run(self, command: list[str], log: Path, what: str, say: OnLine) -> None:
        tail, last = LogTail(log, at=log.stat().st_size), ""
        process = start(command, folder=log.parent, environment=self._env, log=log)
        deadline = time.monotonic() + INSTALL_S
        try:
            done = False
            while not done:
                done = process.poll() is not None
                for line in tail.lines(end=done):
                    last = line.strip() or last
                    if not line.startswith(" + "):
                        say(f"  {line}")
                if not done and time.monotonic() > deadline:
                    raise UnavailableError(
                        f"{what}: its environment was not set up within {INSTALL_S} s.", next_step=f"See '{log}'."
                    )
                if not done:
                    time.sleep(_POLL_S)
        finally:
            sweep(process.pid)
            process.wait()
        if process.returncode:
            raise UnavailableError(f"{what}: its environment cannot be set up: {last}", next_step=self._next_step(log))

    def _next_step(self, log: Path) -> str:
        if shutil.disk_usage(log.parent).free < _LITTLE_BYTES:
            return f"Make room on the disk of '{self._cache}', or set MLPLATFORM_CACHE to a folder on another."
        return (
            "It needs a package index, once (its address, and a proxy's, are the installer's settings, such as "
            f"UV_INDEX_URL and PIP_INDEX_URL); see '{log}'."
        )

    def _closed(self, error: OSError) -> PermissionDeniedError:
        return PermissionDeniedError(
            f"Environments of containers cannot be kept under '{self._cache}': {error.strerror or error}.",
            next_step="Set MLPLATFORM_CACHE to a folder that this user may write to, with room for them.",
        )


def _complete(folder: Path) -> bool:
    # The interpreter is a link, and dangles where the Python it was made with is gone.
    return (folder / "complete").is_file() and (folder / "bin" / "python").exists()


@contextmanager
def _turn(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
