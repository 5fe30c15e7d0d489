"""Containers without Docker: the folder ``containers/<name>`` and the command its Dockerfile's ENTRYPOINT names.

``python`` there means that of the folder's own ``.venv`` where it has one; else, where the folder has a
`requirements.lock`, that of the environment made from it (`adapters.containers`); else this interpreter.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlplatform
from mlplatform.adapters.containers.lock import FILE
from mlplatform.errors import NotFoundError, SpecError

_ENTRYPOINT = re.compile(r"^ENTRYPOINT\s+(\[.*\])\s*$", re.MULTILINE)
DISTRIBUTED = "mlplatform.distributed"
"""The Dockerfile's label of a container whose program shares its work over the hosts of `resourceconfig.json`."""
_SHARES = re.compile(rf"^LABEL\s+{re.escape(DISTRIBUTED)}=\"?true\"?\s*$", re.MULTILINE)
_NO_JOBS = re.compile(r"^LABEL\s+mlplatform\.jobs=\"?false\"?\s*$", re.MULTILINE)
"""The label of an image that runs no job but serves, say."""
_CACHES = frozenset({".venv", ".git", "__pycache__"})
_PYTHON = frozenset({"python", "python3"})


@dataclass(frozen=True)
class Container:
    """A command and the folder it runs in. `lock`: describes the environment whose ``python`` the command begins with.

    `distributed`: whether several hosts of a job share the work.
    """

    folder: Path
    command: tuple[str, ...]
    lock: Path | None = None
    distributed: bool = False


def container_folders() -> tuple[Path, ...]:
    """Where containers are looked for: inside the installed package, and beside it in a checkout."""
    package = Path(mlplatform.__path__[0])
    return (package / "containers", package.parent / "containers")


def find_container(name: str, folders: Sequence[Path], *, for_jobs: bool = True) -> Container:
    """The container called `name`; `for_jobs`: none of those that run no jobs, but serve.

    Raises:
        NotFoundError: none of the folders has it; the message names those there are.
        SpecError: its Dockerfile has no ENTRYPOINT in the JSON form.
    """
    found = {p.parent: p.read_text("utf-8") for root in folders for p in sorted(root.glob("*/Dockerfile"))}
    for folder, text in found.items():
        if folder.name != name or (for_jobs and _NO_JOBS.search(text)):
            continue
        match, shares = _ENTRYPOINT.search(text), _SHARES.search(text) is not None
        if match is None:
            raise SpecError(
                f"'{folder / 'Dockerfile'}' has no line ENTRYPOINT [\"command\", …].", next_step="Add one in JSON form."
            )
        command = [str(part) for part in json.loads(match[1])]
        own, lock = folder / ".venv" / "bin" / "python", folder / FILE
        if command[0] not in _PYTHON:
            return Container(folder, tuple(command), distributed=shares)
        if own.exists():
            return Container(folder, (str(own), *command[1:]), distributed=shares)
        if lock.is_file():
            return Container(folder, tuple(command), lock, shares)
        return Container(folder, (sys.executable, *command[1:]), distributed=shares)
    there = sorted({folder.name for folder, text in found.items() if not (for_jobs and _NO_JOBS.search(text))})
    raise NotFoundError(
        f"There is no container '{name}'; there are: {', '.join(there) or 'none'}.",
        next_step=f"Name one of those in the model's 'container', or make one: a Dockerfile in containers/{name}.",
    )


def content_digest(folder: Path) -> str:
    """SHA-256 hex over the files below `folder`, but for caches and its ``.venv`` (its requirements stand for that one)."""
    found, seen = hashlib.sha256(), {folder.resolve()}
    for root, folders, files in os.walk(folder, followlinks=True):
        inner = {name: Path(root, name).resolve() for name in sorted(folders)}
        # A link to a folder that was met (its own parent, say) would have no end.
        folders[:] = [n for n, at in inner.items() if n not in _CACHES and not n.endswith("_cache") and at not in seen]
        seen.update(inner.values())
        for path in (Path(root, name) for name in sorted(files)):
            if path.is_file():
                program = b"x" if path.stat().st_mode & 0o100 else b"-"
                content = hashlib.sha256(path.read_bytes()).digest()
                found.update(os.fsencode(path.relative_to(folder)) + b"\0" + program + content)
    return found.hexdigest()
