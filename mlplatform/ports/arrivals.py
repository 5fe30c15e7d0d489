"""Arrivals: notices that objects came into the object store. They are hints: each may come twice, late, out of order or never."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Notice:
    """An object was written: `key` as the object store calls it, `etag` of what was written ("" where it is not said)."""

    key: str
    etag: str


@dataclass(frozen=True)
class Notices:
    """What one asking gave; `receipts` are what `done` takes."""

    notices: tuple[Notice, ...]
    receipts: tuple[str, ...]


class Arrivals(Protocol):
    """A queue of notices on the objects of one store (S3's events in SQS)."""

    @property
    def poll_s(self) -> float:
        """Seconds between two askings at least."""
        ...

    @property
    def page_s(self) -> float:
        """Seconds between two pages of the listing that finds what no notice told of."""
        ...

    def receive(self) -> Notices:
        """Some of what waits; empty where nothing does. What is not `done` comes again after a while.

        Raises:
            PlatformError: the queue cannot be asked; then the store is listed.
        """
        ...

    def done(self, receipts: Sequence[str]) -> None:
        """These need not come again."""
        ...

    def close(self) -> None:
        """Give back what is open."""
        ...
