"""A disk of a few MiB that a test may fill up and mount read-only.

Where the machine allows mounts it is a tmpfs. Elsewhere a folder stands for it, and the test runs in a child process whose
C library is told what a full or read-only disk answers (`small_disk_shim`): then its processes see it as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlplatform_tests.faults.small_disk_shim import FULL, READ_ONLY, ROOT, STATE, build

MEANS = "MLPLATFORM_SMALL_DISK"
"""``mount`` or ``shim``: by which means, and no other; without it, the one that works."""


class SmallDisk:
    """A disk mounted at `root`, or, with `state`, a folder that behaves like one as that file says."""

    def __init__(self, root: Path, state: Path | None = None) -> None:
        self.root = root
        self._ballast = root / "ballast"
        self._state = state

    @classmethod
    @contextmanager
    def mounted(cls, root: Path, *, size_mib: int) -> Iterator[SmallDisk]:
        """Mounted while the block runs."""
        root.mkdir()
        if STATE in os.environ:
            state = Path(os.environ[STATE])
            state.write_text("")
            os.environ[ROOT] = f"{root}{os.sep}"
            yield cls(root, state)
            state.write_text("")
            return
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(root)]
        subprocess.run(command, capture_output=True, check=True)
        try:
            yield cls(root)
        finally:
            subprocess.run(["umount", "-l", str(root)], check=True)

    def fill(self) -> None:
        """Leave not one free byte."""
        if self._state is not None:
            self._state.write_text(FULL)
            return
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def free(self) -> None:
        if self._state is not None:
            self._state.write_text("")
            return
        self._ballast.unlink()

    def read_only(self) -> None:
        """As after a remount; nothing may be open for writing."""
        if self._state is not None:
            self._state.write_text(READ_ONLY)
            return
        subprocess.run(["mount", "-o", "remount,ro", str(self.root)], check=True)


def can_mount(folder: Path) -> bool:
    """Whether this process may mount a tmpfs."""
    means = os.environ.get(MEANS)
    if means is not None:
        return means == "mount"
    trial = folder / "trial"
    trial.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(trial)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        return False
    subprocess.run(["umount", "-l", str(trial)], check=True)
    return True


def run_with_shim(test: str, folder: Path) -> None:
    """Run one test in a child process, for which folders can be full."""
    state = folder / "state"
    state.write_text("")
    env = {**os.environ, "LD_PRELOAD": str(build(folder)), STATE: str(state)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", test]
    done = subprocess.run(
        [*command, f"--basetemp={folder / 'tests'}"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"with a disk that is full by name only: {done.stdout}{done.stderr}"
    assert "1 passed" in done.stdout, done.stdout
