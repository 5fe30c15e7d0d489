"""A loader process for the tests: runs `Ingest` over a home, once or for ever, and says what it loaded."""

from __future__ import annotations

import sys
from pathlib import Path

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.adapters.warehouse.ducklake_team import TeamPlace, TeamSettings
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.ingest import Ingest
from mlplatform_tests.servers.redshift.postgres import PASSWORD

TEAM = "team.json"
STREAM = StreamSpec.model_validate(
    {"name": "ticks", "partition_key": "ticker", "delivery": {"prefix": "landing/ticks/"}}
)
TABLE = TableSpec.model_validate(
    {
        "name": "ticks_table",
        "unique_key": ["ticker", "tick"],
        "event_time": "tick",
        "columns": [
            {"name": "ticker", "nullable": False},
            {"name": "tick", "type": "bigint", "nullable": False},
            {"name": "price", "type": "double", "minimum": 0},
        ],
        "sources": [{"stream": "ticks"}, {"prefix": "files/", "suffix": ".csv"}],
    }
)


def ingest(home: Path, table: TableSpec = TABLE) -> tuple[DuckLakeWarehouse, DirectoryObjectStore, Ingest]:
    """Warehouse, store and station over `home`; the lake is a team's where the home says so (`TEAM`)."""
    place = None
    if (home / TEAM).exists():
        settings = TeamSettings.model_validate_json((home / TEAM).read_text())
        secrets = EnvironmentSecrets({"MLPLATFORM_SECRET_DUCKLAKE_PASSWORD": PASSWORD})
        place = TeamPlace(settings, secrets, system="test")
    warehouse = DuckLakeWarehouse(home / "warehouse", threads=1, memory_mib=256, place=place)
    store = DirectoryObjectStore(home / "objects")
    return warehouse, store, Ingest(warehouse, store, table, system="test", streams={"ticks": STREAM})


def main(home: Path) -> None:
    warehouse, _, station = ingest(home)
    print("ready", flush=True)
    for receipt in station.run():
        print(receipt.key, receipt.loaded, flush=True)
    warehouse.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
