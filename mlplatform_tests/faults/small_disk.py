"""A disk of a few MiB that a test may fill up and mount read-only, where the machine allows mounts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A tmpfs at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ballast = root / "ballast"

    @classmethod
    @contextmanager
    def mounted(cls, root: Path, *, size_mib: int) -> Iterator[SmallDisk]:
        """Mounted while the block runs; skips the test where mounts are not allowed."""
        root.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no mounts here: {done.stderr.strip()}")
        try:
            yield cls(root)
        finally:
            subprocess.run(["umount", "-l", str(root)], check=True)

    def fill(self) -> None:
        """Leave not one free byte."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def free(self) -> None:
        self._ballast.unlink()

    def remount(self, how: str) -> None:
        """``ro`` or ``rw``; nothing may be open for writing."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.root)], check=True)
