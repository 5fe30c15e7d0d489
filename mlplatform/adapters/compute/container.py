"""Containers without Docker: the folder ``containers/<name>`` and the command its Dockerfile's ENTRYPOINT names.

``python`` there means this interpreter, or that of the folder's own ``.venv`` where it has one.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlplatform
from mlplatform.errors import NotFoundError, SpecError

_ENTRYPOINT = re.compile(r"^ENTRYPOINT\s+(\[.*\])\s*$", re.MULTILINE)
_PYTHON = frozenset({"python", "python3"})


@dataclass(frozen=True)
class Container:
    """A command and the folder it runs in."""

    folder: Path
    command: tuple[str, ...]


def container_folders() -> tuple[Path, ...]:
    """Where containers are looked for: inside the installed package, and beside it in a checkout."""
    package = Path(mlplatform.__path__[0])
    return (package / "containers", package.parent / "containers")


def find_container(name: str, folders: Sequence[Path]) -> Container:
    """The container called `name`.

    Raises:
        NotFoundError: none of the folders has it; the message names those there are.
        SpecError: its Dockerfile has no ENTRYPOINT in the JSON form.
    """
    for root in folders:
        folder = root / name
        if not (folder / "Dockerfile").is_file():
            continue
        match = _ENTRYPOINT.search((folder / "Dockerfile").read_text("utf-8"))
        if match is None:
            raise SpecError(
                f"'{folder / 'Dockerfile'}' has no line ENTRYPOINT [\"command\", …].", next_step="Add one in JSON form."
            )
        command = [str(part) for part in json.loads(match[1])]
        own = folder / ".venv" / "bin" / "python"
        if command[0] in _PYTHON:
            command[0] = str(own) if own.exists() else sys.executable
        return Container(folder, tuple(command))
    there = sorted({p.parent.name for root in folders for p in root.glob("*/Dockerfile")})
    raise NotFoundError(f"There is no container '{name}'; there are: {', '.join(there) or 'none'}.")
