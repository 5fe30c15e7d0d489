"""Loads into Snowflake that race, break off or lose their answer; the server enforces nothing that could save them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse import snowflake_connection, snowflake_tables, sql_session
from mlplatform.adapters.warehouse.snowflake import SnowflakeWarehouse
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import TransientError, UnavailableError
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.snowflake_warehouse import snowflake_warehouse
from mlplatform_tests.servers.snowflake.server import Snowflake

TICKS = TableSchema("ticks", (Column("id", "bigint", nullable=False), Column("price", "double")), unique_key=("id",))
SHARD = "objects/in/"

Plan = Callable[[str, bytes], LoadPlan]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return DirectoryObjectStore(tmp_path / "objects")


@pytest.fixture
def warehouse(snowflake_server: Snowflake) -> Iterator[SnowflakeWarehouse]:
    found = snowflake_warehouse(snowflake_server)
    found.create(TICKS)
    yield found
    snowflake_server.mend()
    found.close()


def planned(warehouse: SnowflakeWarehouse, store: ObjectStore, key: str, data: bytes) -> LoadPlan:
    """The load of an object that is put for it."""
    info = store.put(key, data)
    guard = warehouse.guard("ticks", SHARD)
    upto = str(int(guard.last or 0) + 1)
    return LoadPlan("ticks", SHARD, guard.last, upto, guard.epoch, key, info.etag, info.size_bytes, CsvFormat())


@pytest.fixture
def plan(warehouse: SnowflakeWarehouse, store: ObjectStore) -> Plan:
    return lambda key, data: planned(warehouse, store, key, data)


def figures(warehouse: SnowflakeWarehouse) -> tuple[int, int, int, str]:
    """(rows, distinct ids, ledger rows, guard)."""
    row = warehouse.query("SELECT count(*) AS n, count(DISTINCT id) AS d FROM ticks").to_pylist()[0]
    ledger = warehouse.query("SELECT count(*) AS n FROM _ledger").to_pylist()[0]["n"]
    return row["n"], row["d"], ledger, warehouse.guard("ticks", SHARD).last


def test_a_server_that_went_away_in_mid_load_is_unavailable_and_the_load_is_whole_when_it_is_back(
    warehouse: SnowflakeWarehouse, store: ObjectStore, snowflake_server: Snowflake, plan: Plan
) -> None:
    wanted = plan("in/a.csv", b"id,price\n1,1\n2,2\n")
    snowflake_server.fail("INSERT INTO", do="away")
    # It is asked again for as long.
    hasty = snowflake_warehouse(snowflake_server, warehouse.system, statement_timeout_s=4)
    with pytest.raises(UnavailableError, match=r"Load of 'in/a.csv'.*Service Unavailable"):
        hasty.load(wanted, TICKS, store)
    snowflake_server.mend()
    hasty.close()
    assert figures(warehouse) == (0, 0, 0, "")
    assert warehouse.load(wanted, TICKS, store).loaded == 2


@pytest.mark.parametrize("times", [2, 3])
def test_a_lock_with_too_many_waiters_is_tried_again_within_bounds(
    warehouse: SnowflakeWarehouse,
    store: ObjectStore,
    snowflake_server: Snowflake,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
) -> None:
    monkeypatch.setattr(sql_session, "ATTEMPTS", 3)
    wanted = plan("in/a.csv", b"id,price\n1,1\n")
    said = "Your statement was aborted because the number of waiters for this lock exceeds the 20 statements limit."
    snowflake_server.fail("UPDATE", do="refuse", times=times, code="000625", state="57014", message=said)
    if times == 3:
        with pytest.raises(TransientError, match="lost the race with other transactions 3 times"):
            warehouse.load(wanted, TICKS, store)
        assert figures(warehouse) == (0, 0, 0, "")
    assert warehouse.load(wanted, TICKS, store).loaded == 1
    assert figures(warehouse) == (1, 1, 1, "1")


LOADER = """
import json, sys
from pathlib import Path
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform_tests.conformance.snowflake_warehouse import snowflake_warehouse
from mlplatform_tests.servers.snowflake.server import Snowflake
from mlplatform_tests.servers.snowflake.test_warehouse_faults import TICKS, planned

port, system, folder = sys.argv[1:]
warehouse = snowflake_warehouse(Snowflake(int(port), ""), system)
store = DirectoryObjectStore(Path(folder))
warehouse.load(planned(warehouse, store, "in/a.csv", b"id,price\\n1,1\\n2,2\\n"), TICKS, store)
"""


@pytest.mark.parametrize(
    "statement",
    [pytest.param("UPDATE", marks=pytest.mark.slow), "INSERT INTO", pytest.param("COMMIT", marks=pytest.mark.slow)],
)
def test_of_a_loader_killed_within_its_transaction_nothing_stays_but_a_wait(
    warehouse: SnowflakeWarehouse, store: ObjectStore, snowflake_server: Snowflake, tmp_path: Path, statement: str
) -> None:
    warehouse.guard("ticks", SHARD)
    before = len(snowflake_server.statements())
    snowflake_server.fail(statement, do="hold")
    command = [sys.executable, "-c", LOADER, str(snowflake_server.port), warehouse.system, str(tmp_path / "objects")]
    with subprocess.Popen(command) as loader:
        while not any(s["sql"].startswith(statement) for s in snowflake_server.statements()[before:]):
            assert loader.poll() is None
            time.sleep(0.05)
        loader.kill()
    snowflake_server.end_idle(0.2)
    wanted = planned(warehouse, store, "in/a.csv", b"id,price\n1,1\n2,2\n")
    assert warehouse.load(wanted, TICKS, store).loaded == 2
    assert figures(warehouse) == (2, 2, 1, "1")


def test_a_loader_that_slept_within_its_transaction_gives_it_up(
    warehouse: SnowflakeWarehouse, store: ObjectStore, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red without the check: what it sent behind Snowflake's back would each be committed."""
    wanted = plan("in/a.csv", b"id,price\n1,1\n")
    with monkeypatch.context() as patch:
        patch.setattr(snowflake_connection, "LONGEST_PAUSE_S", 0.0)
        with pytest.raises(UnavailableError, match="its transaction stood still for"):
            warehouse.load(wanted, TICKS, store)
    assert figures(warehouse) == (0, 0, 0, "")
    assert warehouse.load(wanted, TICKS, store).loaded == 1


def test_loads_wait_for_a_widening_however_long_it_takes(
    warehouse: SnowflakeWarehouse,
    store: ObjectStore,
    snowflake_server: Snowflake,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Red without the beat: the session that holds the lock is silent for too long, and a load comes in between."""
    monkeypatch.setattr(snowflake_tables, "BEAT_S", 0.05)
    warehouse.load(plan("in/a.csv", b"id,price\n1,1.5\n"), TICKS, store)
    wanted = plan("in/b.csv", b"id,price\n2,2.5\n")
    wider = TableSchema("ticks", (TICKS.columns[0], Column("price")), TICKS.unique_key)
    before = len(snowflake_server.statements())
    update = f'UPDATE "{warehouse.system.upper()}"."TICKS"'
    snowflake_server.fail(update, do="slow", when="after", seconds=4)
    snowflake_server.end_idle(2)
    other = snowflake_warehouse(snowflake_server, warehouse.system)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(warehouse.create, wider)
        while not any(s["sql"].startswith(update) for s in snowflake_server.statements()[before:]):
            time.sleep(0.02)
        assert other.load(wanted, TICKS, store).loaded == 1
        made.result()
    other.close()
    found = warehouse.query("SELECT price FROM ticks ORDER BY id").to_pylist()
    assert found == [{"price": "1.5"}, {"price": "2.5"}]
