"""A container's `requirements.lock`: every package with its version and hashes, so that the same file is the same environment."""

from __future__ import annotations

import hashlib
import platform
import sys
from pathlib import Path

from mlplatform.errors import NotFoundError, SpecError, UnavailableError

FILE = "requirements.lock"


def environment_key(lock: Path) -> str:
    """Names the environment that `lock` describes for this Python on this machine's kind.

    Raises:
        NotFoundError: there is no such file.
        SpecError: a line names no hash, or is an option. UnavailableError: it cannot be read.
    """
    try:
        content = lock.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no lock '{lock}'.") from error
    except OSError as error:
        raise UnavailableError(f"Lock '{lock}' cannot be read: {error.strerror}.") from error
    _check(lock, content.decode("utf-8"))
    where = f"{sys.version}\0{sys.platform}\0{platform.machine()}"
    return hashlib.sha256(content + b"\0" + where.encode()).hexdigest()[:24]


def _check(lock: Path, text: str) -> None:
    for line in text.replace("\\\n", " ").splitlines():
        said = line.partition(" #")[0].strip()
        if not said or said.startswith("#"):
            continue
        if said.startswith("-") or "--hash=sha256:" not in said:
            raise SpecError(
                f"'{lock}': expected a package with its version and hashes, found '{said[:80]}'.",
                next_step="Write it with: uv pip compile --universal --generate-hashes --no-emit-index-url "
                f"requirements.in -o {FILE}",
            )
