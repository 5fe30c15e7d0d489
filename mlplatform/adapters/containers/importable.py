"""Lets another environment import mlplatform, and nothing else of the environment that mlplatform is installed in.

Its own folder cannot be put on a path for that: beside it lie all the packages it was installed with. So the path is a
folder that holds one link.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import mlplatform


def importable_folder(cache: Path) -> Path:
    """A folder for ``PYTHONPATH`` that holds mlplatform only; made on first use."""
    package = Path(mlplatform.__path__[0]).resolve()
    folder = cache / "importable" / hashlib.sha256(os.fsencode(package)).hexdigest()[:16]
    link = folder / package.name
    if link.is_symlink() and link.readlink() == package:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        made = Path(aside) / package.name
        made.symlink_to(package, target_is_directory=True)
        made.replace(link)
    return folder
