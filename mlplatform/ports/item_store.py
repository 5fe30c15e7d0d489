"""Item store: small JSON items under (collection, key), each with a version to compare and set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Item:
    """One item: `version` starts at 1 and grows by one with every write; a deleted key starts again at 1."""

    key: str
    value: Mapping[str, Any]
    version: int


class ItemStore(Protocol):
    """DynamoDB's role. Writes are atomic and durable; safe from many processes."""

    def get(self, collection: str, key: str) -> Item | None:
        """The item, or None."""
        ...

    def put(self, collection: str, key: str, value: Mapping[str, Any], *, expected_version: int | None = None) -> Item:
        """Write the item. `expected_version`: 0 = must not exist, n = must be at n, None = whatever is there.

        Raises:
            ConflictError: the item is at another version.
        """
        ...

    def delete(self, collection: str, key: str) -> None:
        """Remove the item; no error where there is none."""
        ...

    def list(self, collection: str, *, prefix: str = "", after: str = "", limit: int | None = None) -> Iterator[Item]:
        """Items of a collection whose key starts with `prefix` and sorts behind `after`, in key order."""
        ...
