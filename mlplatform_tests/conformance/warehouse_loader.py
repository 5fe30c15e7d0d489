"""A loader process for the suite: once it is told to, loads the objects below ``in/`` into `prices`, in order, each once, and
says when a load begins and when it ends.

``python -m mlplatform_tests.conformance.warehouse_loader <warehouse.json> <store.json>``
"""

from __future__ import annotations

import json
import sys
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

SHARD = "objects/in/"
BEGINS, ENDS = "begins", "ends"
"""First word of the lines before and after a load."""


def load_all(warehouse: Warehouse, store: ObjectStore, *, epoch: int | None = None) -> None:
    """What is below ``in/`` and not loaded; `epoch`: that of the loader, else whichever is there."""
    objects = list(store.list("in/"))
    while (done := int((guard := warehouse.guard("prices", SHARD)).last or 0)) < len(objects):
        info = objects[done]
        mine = guard.epoch if epoch is None else epoch
        plan = LoadPlan("prices", SHARD, guard.last, str(done + 1), mine, info.key, info.etag, info.size_bytes, CSV)
        print(BEGINS, info.key, flush=True)
        try:
            print(ENDS, info.key, warehouse.load(plan, PRICES, store).loaded, flush=True)
        except ConflictError:
            if epoch is not None:
                raise
            # Another loader was faster: from where it is.


def main(source: Path, store: Path) -> None:
    warehouse = open_source(json.loads(source.read_text()))
    objects = connections.object_store(Connection.model_validate_json(store.read_text()), Home(source.parent))
    warehouse.guard("prices", SHARD)
    print("ready", flush=True)
    sys.stdin.readline()
    load_all(warehouse, objects)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
