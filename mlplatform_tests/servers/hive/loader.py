"""A loader process for the tests: loads the objects below ``in/`` into `ticks`, in order, each once. ``loader.py FOLDER SYSTEM``"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.hive import HiveWarehouse
from mlplatform.adapters.warehouse.hive_settings import HiveSettings
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema

TICKS = TableSchema("ticks", (Column("id", "bigint", nullable=False), Column("text")), unique_key=("id",))


def main(folder: Path, system: str) -> None:
    rows, objects = (DirectoryObjectStore(folder / name, settle_s=0.0) for name in ("hive", "objects"))
    settings = HiveSettings.model_validate_json(os.environ["HIVE_SETTINGS"])
    warehouse = HiveWarehouse(settings, EnvironmentSecrets(dict(os.environ)), rows, system=system)
    for number, info in enumerate(objects.list("in/")):
        guard = warehouse.guard("ticks", "objects/in/")
        if int(guard.last or 0) > number:
            continue
        plan = LoadPlan(
            "ticks", "objects/in/", guard.last, str(number + 1), guard.epoch, info.key, info.etag, info.size_bytes,
            CsvFormat(),
        )  # fmt: skip
        warehouse.load(plan, TICKS, objects)
    warehouse.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
