"""Items in one SQLite file: many processes, compare-and-set, durable when a write returns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlplatform.adapters.item_store.json_value import encoded
from mlplatform.adapters.sqlite_file import SqliteFile
from mlplatform.errors import ConflictError
from mlplatform.ports.item_store import Item

FORMAT = 1
PAGE_ITEMS = 500

_SCHEMA = """
CREATE TABLE items (
    collection TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (collection, key)) WITHOUT ROWID;
"""
_GET = "SELECT key, value, version FROM items WHERE collection = ? AND key = ?"
_PUT = "INSERT OR REPLACE INTO items (collection, key, version, value) VALUES (?, ?, ?, ?)"
_DELETE = "DELETE FROM items WHERE collection = ? AND key = ?"
# Keys that start with the prefix stand together in key order, from the prefix itself on.
_LIST = """
SELECT key, value, version FROM items
WHERE collection = ? AND key > ? AND key >= ? AND substr(key, 1, ?) = ? ORDER BY key LIMIT ?
"""


class SqliteItemStore:
    """Items in the file `path`, which is made on first use with its folder. Safe from many processes and threads."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, what="Item store", schema=_SCHEMA, version=FORMAT)

    def get(self, collection: str, key: str) -> Item | None:
        with self._file.connection() as connection:
            row = connection.execute(_GET, (collection, key)).fetchone()
        return None if row is None else _item(*row)

    def put(self, collection: str, key: str, value: Mapping[str, Any], *, expected_version: int | None = None) -> Item:
        text = encoded(collection, key, value)
        with self._file.transaction(write=True) as connection:
            row = connection.execute(_GET, (collection, key)).fetchone()
            version = 0 if row is None else row[2]
            if expected_version is not None and expected_version != version:
                raise ConflictError(
                    f"Item '{collection}/{key}' is at version {version}; expected {expected_version} (0 = none).",
                    next_step="Read it again and decide anew.",
                )
            connection.execute(_PUT, (collection, key, version + 1, text))
        return _item(key, text, version + 1)

    def delete(self, collection: str, key: str) -> None:
        with self._file.connection() as connection:
            connection.execute(_DELETE, (collection, key))

    def list(self, collection: str, *, prefix: str = "", after: str = "", limit: int | None = None) -> Iterator[Item]:
        left = limit
        while left is None or left > 0:
            size = PAGE_ITEMS if left is None else min(left, PAGE_ITEMS)
            with self._file.connection() as connection:
                rows = connection.execute(_LIST, (collection, after, prefix, len(prefix), prefix, size)).fetchall()
            yield from (_item(*row) for row in rows)
            if len(rows) < size:
                return
            after = rows[-1][0]
            left = None if left is None else left - len(rows)

    def close(self) -> None:
        """Close the file; the store opens it again when it is used."""
        self._file.close()


def _item(key: str, value: bytes, version: int) -> Item:
    return Item(key, json.loads(value), version)
