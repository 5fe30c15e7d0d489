"""What serving processes of this machine say: one small file each, believed while the process lives."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from mlplatform.core.rollout.status import Report
from mlplatform.spec.process_name import is_alive, process_name

WORKERS = ".workers"


def write_word(root: Path, word: dict[str, Any]) -> None:
    """Replace this process's file."""
    folder = root / WORKERS
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".new-")
    with os.fdopen(descriptor, "w") as file:
        json.dump(word, file)
    Path(temporary).replace(_own_path(root))


def remove_word(root: Path) -> None:
    """Remove this process's file."""
    _own_path(root).unlink(missing_ok=True)


def read_reports(root: Path, endpoint: str) -> list[Report]:
    """Words of the live workers on `endpoint`; files of dead ones are removed."""
    reports = []
    for path in sorted((root / WORKERS).glob("*.json")):
        if not is_alive(path.stem):
            path.unlink(missing_ok=True)
            continue
        try:
            word = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            continue
        reports.append(Report(path.stem, word["ready"], **word["endpoints"].get(endpoint, {})))
    return reports


def _own_path(root: Path) -> Path:
    return root / WORKERS / f"{process_name()}.json"
