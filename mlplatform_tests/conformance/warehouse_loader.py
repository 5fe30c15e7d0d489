"""A loader process for the suite: once it is told to, loads the objects below ``in/`` into `prices`, in order, each once, and
says when a load begins. Told to hold, it stands still within its second load, when rows are staged and nothing is committed.

``python -m mlplatform_tests.conformance.warehouse_loader <warehouse.json> <store.json>``
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path

from mlplatform.core.loads.plan import LoadPlan
from mlplatform.errors import ConflictError
from mlplatform.platform import connections
from mlplatform.platform.job_source import open_source
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Connection
from mlplatform_tests.conformance.warehouses import CSV, PRICES
from mlplatform_tests.stations.crashing_store import EdgedStore

SHARD = "objects/in/"
BEGINS, HOLDS = "begins", "holds"
"""First words of its lines: before a load, and where it stands still."""
GO, HOLD = "go", "hold"
"""What it is told."""


def load_all(warehouse: Warehouse, store: ObjectStore, *, epoch: int | None = None) -> None:
    """What is below ``in/`` and not loaded; `epoch`: that of the loader, else whichever is there."""
    objects = list(store.list("in/"))
    while (done := int((guard := warehouse.guard("prices", SHARD)).last or 0)) < len(objects):
        info = objects[done]
        mine = guard.epoch if epoch is None else epoch
        plan = LoadPlan("prices", SHARD, guard.last, str(done + 1), mine, info.key, info.etag, info.size_bytes, CSV)
        print(BEGINS, info.key, flush=True)
        try:
            warehouse.load(plan, PRICES, store)
        except ConflictError:
            if epoch is not None:
                raise
            # Another loader was faster: from where it is.


def main(source: Path, store: Path) -> None:
    warehouse = open_source(json.loads(source.read_text()))
    objects = connections.object_store(Connection.model_validate_json(store.read_text()), Home(source.parent))
    warehouse.guard("prices", SHARD)
    print("ready", flush=True)
    hold = sys.stdin.readline() == f"{HOLD}\n"
    load_all(warehouse, EdgedStore(objects, Holding()) if hold else objects)


class Holding:
    """An edge of the store: a load looks at its object when it begins and when all is staged; the second load no further."""

    def __init__(self) -> None:
        self._looks: Counter[str] = Counter()

    def __call__(self, call: str) -> None:
        if call.startswith("before head"):
            self._looks[call] += 1
            if len(self._looks) == 2 and self._looks[call] == 2:
                print(HOLDS, flush=True)
                time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
