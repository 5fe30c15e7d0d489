"""Checkpoints of a job: a folder kept like a prefix of the object store while the job runs, as SageMaker keeps it."""

from __future__ import annotations

import shutil
from pathlib import Path

from mlplatform.errors import NotFoundError
from mlplatform.ports.object_store import ObjectStore

_UNFINISHED = (".sagemaker-uploading", ".sagemaker-uploaded")


class Checkpoints:
    """The checkpoints under `prefix`; those of a job that is run again are restored before its start."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = f"{prefix.rstrip('/')}/"
        self._stored: dict[tuple[Path, str], tuple[int, int]] = {}

    def restore(self, folder: Path) -> None:
        """Lay what is stored under `folder`."""
        for info in self._store.list(self._prefix):
            target = folder / info.key.removeprefix(self._prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._store.open(info.key) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
        self._stored |= {(folder, name): stamp for name, stamp in _files(folder).items()}

    def keep(self, folder: Path) -> None:
        """Store what is new or changed under `folder`, and then delete what was taken away there."""
        there = _files(folder)
        for name, stamp in there.items():
            if self._stored.get((folder, name)) == stamp:
                continue
            try:
                self._store.put(f"{self._prefix}{name}", folder / name)
            except NotFoundError:
                continue  # the job took it away meanwhile
            self._stored[folder, name] = stamp
        for known in [key for key in self._stored if key[0] == folder and key[1] not in there]:
            self._store.delete(f"{self._prefix}{known[1]}")
            del self._stored[known]


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Finished files below `folder` with what tells a changed one; a name with a dot in front is one that is being written."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or path.name.endswith(_UNFINISHED) or not path.is_file():
            continue
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        found[path.relative_to(folder).as_posix()] = (state.st_size, state.st_mtime_ns)
    return found
