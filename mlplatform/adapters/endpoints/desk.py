"""A serving process's view of the local endpoints."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mlplatform.adapters.endpoints.local import newest_generation, read_record, record_path
from mlplatform.adapters.endpoints.workers import remove_word, write_word
from mlplatform.errors import StateError
from mlplatform.ports.endpoints import Deployment, Served

log = logging.getLogger(__name__)


class LocalDesk:
    """One a process. `changed` costs two `stat` an endpoint and a listing of the systems' folders."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, int] = {}

    def changed(self) -> bool:
        if self._folders() != self._known.keys():
            return True
        for name, generation in self._known.items():
            folder = self._root / name
            if record_path(folder, generation + 1).exists():
                return True
            # The first one need not be 1, see `stations.removed_endpoint`.
            if not generation and newest_generation(folder):
                return True
            if generation and not record_path(folder, generation).exists():
                return True
        return False

    def desired(self) -> dict[str, Deployment]:
        generations = {name: newest_generation(self._root / name) for name in self._folders()}
        found: dict[str, Deployment] = {}
        for name, generation in generations.items():
            record = self._newest_readable(name, generation)
            if record is not None:
                found[name] = record
        self._known = generations
        return found

    def acknowledge(self, served: Mapping[str, Served], *, ready: bool) -> None:
        write_word(self._root, {"ready": ready, "endpoints": {name: asdict(s) for name, s in served.items()}})

    def leave(self) -> None:
        remove_word(self._root)

    def _newest_readable(self, name: str, newest: int) -> Deployment | None:
        """One damaged record must stop neither its endpoint nor the others; `LocalEndpoints.state` says that it is."""
        for generation in range(newest, 0, -1):
            try:
                return read_record(record_path(self._root / name, generation))
            except StateError as error:
                log.error("%s", error)
        return None

    def _folders(self) -> set[str]:
        found = set()
        with contextlib.suppress(FileNotFoundError):
            for system in os.scandir(self._root):
                if not system.name.startswith(".") and system.is_dir():
                    found |= {f"{system.name}/{e.name}" for e in os.scandir(system.path)}
        return found
