"""Commands that fill an environment from a lock: uv's where there is uv, else those of Python itself."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def install_commands(folder: Path, lock: Path, *, uv: str | None) -> list[list[str]]:
    """What makes the environment at `folder`, with bytecode and exactly the packages of `lock`; without `uv` by pip."""
    python = str(folder / "bin" / "python")
    if uv is None:
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        return [
            [sys.executable, "-m", "venv", str(folder)],
            [*pip, "--compile", "--no-deps", "--require-hashes", "--requirement", str(lock)],
        ]
    sync = [uv, "pip", "sync", "--python", python, "--allow-empty-requirements", "--compile-bytecode"]
    return [
        [uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)],
        [*sync, "--require-hashes", str(lock)],
    ]


def find_uv() -> str | None:
    """uv beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv")
