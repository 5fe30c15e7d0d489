"""Every warehouse adapter, empty, with the object store it loads from, for the suite of the port."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.core.loads.plan import CsvFormat, Format, JsonLinesFormat, LoadPlan, ParquetFormat, Receipt
from mlplatform.core.sql import identifier
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Connection

if TYPE_CHECKING:
    from mlplatform_tests.conformance.warehouse_servers import WarehouseServer

ADAPTERS = ("ducklake", "ducklake-team", "redshift", "snowflake", "hive")

SYSTEM = "suite"
"""Of the embedded warehouse; others have a new one each."""

CSV, JSONL, PARQUET = CsvFormat(), JsonLinesFormat(), ParquetFormat()

PRICES = TableSchema(
    "prices",
    (
        Column("ticker", nullable=False),
        Column("change", "double"),
        Column("price", "double", nullable=False, minimum=0),
        Column("volume", "bigint"),
        Column("day", "date", nullable=False),
    ),
    unique_key=("ticker", "day"),
    event_time="day",
)
HEADER = b"ticker,change,price,volume,day\n"


_EIGHT = " UNION ALL ".join(f"SELECT {n} AS x" for n in range(8))


@dataclass(frozen=True)
class Source:
    """How another process opens the case's warehouse and store: connections as a profile has them, secrets in `env`."""

    adapter: str
    settings: dict[str, Any]
    system: str
    store: Connection
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As `platform.job_source` writes it."""
        return {
            "connection": Connection(port="warehouse", adapter=self.adapter, settings=self.settings).model_dump(),
            "secrets": Connection(port="secrets", adapter="environment").model_dump(),
            "home": str(self.home),
            "system": self.system,
            "masked": False,
        }


@dataclass
class Case:
    """One adapter under test; `open` gives another instance on the same warehouse, as another process would have it.

    `slow`: a query that takes hours, and that the engine can stop in. `server`: None where the engine is this process's own.
    `source`: None where no other process can open it.
    """

    name: str
    warehouse: Warehouse
    store: ObjectStore
    open: Callable[[], Warehouse]
    slow: str = f"WITH d AS ({_EIGHT}) SELECT count(*) AS n FROM " + ", ".join(f"d AS d{i}" for i in range(14))
    server: WarehouseServer | None = None
    source: Source | None = None

    def plan(
        self,
        key: str,
        data: bytes | Path,
        *,
        format: Format | None = None,  # noqa: A002
        shard: str = "objects/in/",
        upto: str | None = None,
        table: str = "prices",
        **more: Any,
    ) -> LoadPlan:
        """Puts `data` under `key` and plans its load from where the guard is."""
        info = self.store.put(key, data)
        guard = self.warehouse.guard(table, shard)
        kinds: dict[str, Format] = {"csv": CSV, "jsonl": JSONL, "parquet": PARQUET}
        return LoadPlan(
            table=table,
            shard=shard,
            last=guard.last,
            upto=upto or str(int(guard.last or 0) + 1),
            epoch=guard.epoch,
            key=key,
            etag=info.etag,
            size_bytes=info.size_bytes,
            format=format or kinds[key.removesuffix(".gz").rpartition(".")[2]],
            **more,
        )

    def load(self, key: str, data: bytes | Path, *, schema: TableSchema = PRICES, **more: Any) -> Receipt:
        """Plans and loads."""
        return self.warehouse.load(self.plan(key, data, table=schema.name, **more), schema, self.store)

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of a query, as tuples."""
        return [tuple(row.values()) for row in self.warehouse.query(sql, parameters).to_pylist()]

    def count(self, table: str = "prices") -> int:
        return int(self.rows(f"SELECT count(*) AS n FROM {table}")[0][0])

    def reasons(self, receipt: Receipt) -> list[tuple[str, str, bytes]]:
        """(offset, reason, raw) of what a load quarantined."""
        return [
            (offset, reason, bytes(raw))
            for offset, reason, raw in self.rows(
                "SELECT record_offset, reason, raw FROM _quarantine WHERE batch_id = ? ORDER BY length(record_offset), "
                "record_offset",
                receipt.batch_id,
            )
        ]


def counts(receipt: Receipt) -> tuple[int, int, int, int, int]:
    """(arrived, loaded, quarantined, duplicates, filtered)."""
    return (receipt.arrived, receipt.loaded, receipt.quarantined, receipt.duplicates, receipt.filtered)


def chosen_adapters() -> list[str]:
    """All adapters; those of ``MLPLATFORM_TEST_WAREHOUSES`` (comma-separated) where it is set, see `warehouse_cases`."""
    return [name for name in os.environ.get("MLPLATFORM_TEST_WAREHOUSES", ",".join(ADAPTERS)).split(",") if name]


@dataclass(frozen=True)
class SharedDuckLake:
    """A DuckLake that stays open for a module: opening one costs more than what most tests do with it."""

    warehouse: DuckLakeWarehouse
    engine: DuckLakeEngine

    def empty(self) -> DuckLakeWarehouse:
        """The warehouse, without any table and without books."""
        writer = self.engine.writer()
        tables = writer.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'w'").fetchall()
        for (name,) in tables:
            writer.execute(f"DROP TABLE w.main.{identifier(name)}")
        return self.warehouse


@pytest.fixture(scope="module")
def shared_ducklake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDuckLake]:
    root = Home(tmp_path_factory.mktemp("shared")).warehouse(SYSTEM)
    shared = SharedDuckLake(DuckLakeWarehouse(root, threads=2), DuckLakeEngine(root, threads=1, memory_mib=256))
    yield shared
    shared.engine.close()
    shared.warehouse.close()


@pytest.fixture(params=chosen_adapters())
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    from mlplatform_tests.conformance.warehouse_cases import made_case

    opened: list[Any] = []

    def keep(warehouse: Any) -> Any:
        opened.append(warehouse)
        return warehouse

    made = made_case(request.param, request, tmp_path, keep)
    made.warehouse.create(PRICES)
    yield made
    for each in opened:
        each.close()


def ducklake_case(folder: Path) -> Case:
    """DuckLake with a directory as its object store."""

    def opened() -> Warehouse:
        return DuckLakeWarehouse(folder / "warehouse", threads=2)

    return Case("ducklake", opened(), DirectoryObjectStore(folder / "objects"), opened)
