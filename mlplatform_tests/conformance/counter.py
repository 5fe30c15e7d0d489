"""A process that adds one to an item, so many times, by compare-and-set: ``counter.py FILE TIMES``."""

from __future__ import annotations

import sys
from pathlib import Path

from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.errors import ConflictError

if __name__ == "__main__":
    store = SqliteItemStore(Path(sys.argv[1]))
    left = int(sys.argv[2])
    while left:
        item = store.get("counters", "one")
        value, version = (item.value["n"], item.version) if item else (0, 0)
        try:
            store.put("counters", "one", {"n": value + 1}, expected_version=version)
        except ConflictError:
            continue
        left -= 1
        print(value + 1, flush=True)
