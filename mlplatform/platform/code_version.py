"""Which code runs: what jobs are named by, and what lineage leads to."""

from __future__ import annotations

import hashlib
import subprocess
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from mlplatform.platform.locate import package_folder


@lru_cache(maxsize=1)
def code_version() -> str:
    """Version of the platform's own code, as this process met it first."""
    return code_version_of(package_folder())


def code_version_of(folder: Path) -> str:
    """The commit that `folder` is checked out at, with ``+`` and a hash of what is edited or new in it; the package's
    version without git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD").decode().strip()
        edited = _git(folder, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-color", "--", ".")
        new = _git(folder, "ls-files", "--others", "--exclude-standard", "-z", "--", ".").split(b"\0")
    except (OSError, subprocess.SubprocessError):
        return f"mlplatform {version('mlplatform')}"
    found = hashlib.sha256(edited)
    for name in filter(None, sorted(new)):
        path = folder / name.decode(errors="surrogateescape")
        if path.is_file():
            found.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return commit if found.digest() == hashlib.sha256().digest() else f"{commit}+{found.hexdigest()[:12]}"


def _git(folder: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, timeout=10, check=True).stdout
