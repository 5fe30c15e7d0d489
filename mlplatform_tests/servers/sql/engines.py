"""Warehouses that speak SQL and have transactions, each on its server, whose sessions a test may cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.sql_warehouse import SqlWarehouse
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.ports.object_store import ObjectStore

TICKS = TableSchema("ticks", (Column("id", "bigint", nullable=False), Column("price", "double")), unique_key=("id",))
SHARD = "objects/in/"

Cut = Callable[..., None]


@dataclass(frozen=True)
class Engine:
    """One engine with an empty table `ticks`.

    Attributes:
        opened: another warehouse of the same system, as another process would have it.
        cut: ``cut(beginning, after=…)`` ends the session at the next statement that begins so, before it or after it ran.
        brings: how the statements begin that bring a file in.
        locks: how the statement begins that keeps others out.
    """

    warehouse: SqlWarehouse
    store: ObjectStore
    opened: Callable[[], SqlWarehouse]
    cut: Cut
    brings: tuple[str, ...]
    locks: str

    def plan(self, key: str, data: bytes, *, shard: str = SHARD, by: SqlWarehouse | None = None) -> LoadPlan:
        """The load of an object that is put for it."""
        info = self.store.put(key, data)
        guard = (by or self.warehouse).guard("ticks", shard)
        upto = str(int(guard.last or 0) + 1)
        return LoadPlan("ticks", shard, guard.last, upto, guard.epoch, key, info.etag, info.size_bytes, CsvFormat())

    def figures(self) -> tuple[int, int, int, str]:
        """(rows, distinct ids, ledger rows, guard)."""
        row = self.warehouse.query("SELECT count(*) AS n, count(DISTINCT id) AS d FROM ticks").to_pylist()[0]
        ledger = self.warehouse.query("SELECT count(*) AS n FROM _ledger").to_pylist()[0]["n"]
        return row["n"], row["d"], ledger, self.warehouse.guard("ticks", SHARD).last


@pytest.fixture(params=["redshift", "snowflake"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = {"redshift": redshift_engine, "snowflake": snowflake_engine}[request.param](request, tmp_path)
    found = next(made)
    found.warehouse.create(TICKS)
    yield found
    found.warehouse.close()
    next(made, None)


def redshift_engine(request: pytest.FixtureRequest, folder: Path) -> Iterator[Engine]:
    from mlplatform_tests.conformance.object_stores import s3_store
    from mlplatform_tests.conformance.redshift_warehouse import redshift_warehouse

    server, store = request.getfixturevalue("redshift_server"), s3_store(request.getfixturevalue("ministack_server"))
    first = redshift_warehouse(server)

    def cut(beginning: str, *, after: bool = False) -> None:
        waiting = [beginning]

        def hook(sql: str) -> None:
            if waiting and sql.startswith(waiting[0]):
                waiting.clear()
                raise ConnectionResetError(f"cut at {sql}")

        server.proxy.on_start, server.proxy.on_end = (None, hook) if after else (hook, None)

    yield Engine(first, store, lambda: redshift_warehouse(server, first.system), cut, ("COPY",), "LOCK")
    server.proxy.on_start = server.proxy.on_end = None
    store.close()


def snowflake_engine(request: pytest.FixtureRequest, folder: Path) -> Iterator[Engine]:
    from mlplatform_tests.conformance.snowflake_warehouse import snowflake_warehouse

    server, store = request.getfixturevalue("snowflake_server"), DirectoryObjectStore(folder / "objects")
    first = snowflake_warehouse(server)

    def cut(beginning: str, *, after: bool = False) -> None:
        server.fail(beginning, when="after" if after else "before")

    yield Engine(first, store, lambda: snowflake_warehouse(server, first.system), cut, ("PUT", "COPY"), "UPDATE")
    server.mend()
