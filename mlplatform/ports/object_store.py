"""Object store: keys to bytes, listed in key order, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class ObjectInfo:
    """One object as listed. `etag` changes when the content does; `modified` is in UTC."""

    key: str
    size_bytes: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class ObjectStoreCapabilities:
    """What an object store can do beyond the port. `keys_below_keys`: whether ``a`` and ``a/b`` can both be objects."""

    conditional_put: bool = True
    presigned_urls: bool = False
    keys_below_keys: bool = True


class ObjectStore(Protocol):
    """Keys are ``/``-separated, relative, without ``..``; a put is visible whole, at once, and durable when it returns."""

    @property
    def capabilities(self) -> ObjectStoreCapabilities: ...

    def put(self, key: str, data: bytes | Path | BinaryIO, *, if_absent: bool = False) -> ObjectInfo:
        """Store `data` under `key`; streamed, so memory does not grow with its size.

        Raises:
            ConflictError: `if_absent` and the key exists.
        """
        ...

    def open(self, key: str) -> BinaryIO:
        """A stream of the object's bytes from its start. Raises NotFoundError."""
        ...

    def head(self, key: str) -> ObjectInfo | None:
        """The object's entry, or None where there is none."""
        ...

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix` and sorts behind `after`, in key order (UTF-8 bytes)."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; no error where there is none."""
        ...

    def url(self, key: str) -> str:
        """Where an engine reads the object itself: a path of this machine or ``s3://bucket/key``."""
        ...
