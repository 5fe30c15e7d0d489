"""What an account has: a JSON file a thing, below a folder a kind; written whole, so that it is there after a restart."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import RLock
from typing import Any

from mlplatform.spec.home import write_atomically

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


class Records:
    """Things by kind (``training-job``) and name. Times are seconds since 1970."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.lock = RLock()

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The thing, None where there is none."""
        path = self._path(kind, name)
        with self.lock:
            return dict(json.loads(path.read_bytes())) if path.is_file() else None

    def put(self, kind: str, name: str, found: Mapping[str, Any]) -> None:
        with self.lock:
            self._path(kind, name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path(kind, name), json.dumps(found, indent=1, sort_keys=True).encode())

    def add(self, kind: str, name: str, found: Mapping[str, Any]) -> bool:
        """Put it, unless there is one; whether there was none."""
        with self.lock:
            if self._path(kind, name).is_file():
                return False
            self.put(kind, name, found)
            return True

    def change(self, kind: str, name: str, changed: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Read it, have it changed, and write it, with nobody in between. Raises KeyError where there is none."""
        with self.lock:
            found = self.get(kind, name)
            if found is None:
                raise KeyError(name)
            changed(found)
            self.put(kind, name, found)
            return found

    def delete(self, kind: str, name: str) -> None:
        with self.lock:
            self._path(kind, name).unlink(missing_ok=True)

    def all(self, kind: str) -> list[dict[str, Any]]:
        """All of a kind, by name."""
        with self.lock:
            paths = sorted((self._folder / kind).glob("*.json"))
            return [dict(json.loads(path.read_bytes())) for path in paths]

    def _path(self, kind: str, name: str) -> Path:
        assert _NAME.fullmatch(name), name
        return self._folder / kind / f"{name}.json"
