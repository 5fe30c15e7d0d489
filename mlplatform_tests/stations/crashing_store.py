"""A store that dies, or waits for its turn, at a chosen call: a real store underneath, and faults at its edges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from mlplatform.ports.object_store import ObjectInfo, ObjectStore, ObjectStoreCapabilities


class Crash(BaseException):
    """The process is gone: nothing after this call happens."""


class EdgedStore:
    """`store` with `edge` called before and after each call, with its name."""

    def __init__(self, store: ObjectStore, edge: Callable[[str], None]) -> None:
        self._store = store
        self._edge = edge

    @property
    def capabilities(self) -> ObjectStoreCapabilities:
        return self._store.capabilities

    def put(self, key: str, data: bytes | Path | BinaryIO, *, if_absent: bool = False) -> ObjectInfo:
        self._edge(f"before put {key}")
        info = self._store.put(key, data, if_absent=if_absent)
        self._edge(f"after put {key}")
        return info

    def open(self, key: str) -> BinaryIO:
        self._edge(f"before open {key}")
        return self._store.open(key)

    def head(self, key: str) -> ObjectInfo | None:
        self._edge(f"before head {key}")
        return self._store.head(key)

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        self._edge(f"before list {prefix}")
        return self._store.list(prefix, after=after)

    def delete(self, key: str) -> None:
        self._edge(f"before delete {key}")
        self._store.delete(key)
        self._edge(f"after delete {key}")

    def url(self, key: str) -> str:
        return self._store.url(key)
