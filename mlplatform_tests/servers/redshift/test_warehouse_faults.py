"""Loads into Redshift that race, break off or lose their answer; the server enforces nothing that could save them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlplatform.adapters.warehouse.redshift import RedshiftWarehouse
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import ConflictError, TransientError, UnavailableError
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.object_stores import s3_store
from mlplatform_tests.conformance.redshift_warehouse import redshift_warehouse
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.redshift.proxy import RedshiftRefusedError
from mlplatform_tests.servers.redshift.server import Redshift

TICKS = TableSchema("ticks", (Column("id", "bigint", nullable=False), Column("price", "double")), unique_key=("id",))
SHARD = "objects/in/"

Plan = Callable[[str, bytes], LoadPlan]


@pytest.fixture
def store(ministack_server: Ministack) -> Iterator[ObjectStore]:
    found = s3_store(ministack_server)
    yield found
    found.close()


@pytest.fixture
def warehouse(redshift_server: Redshift) -> Iterator[RedshiftWarehouse]:
    found = redshift_warehouse(redshift_server)
    found.create(TICKS)
    yield found
    redshift_server.proxy.on_start = redshift_server.proxy.on_end = None
    found.close()


@pytest.fixture
def plan(warehouse: RedshiftWarehouse, store: ObjectStore) -> Plan:
    def planned(key: str, data: bytes) -> LoadPlan:
        info = store.put(key, data)
        guard = warehouse.guard("ticks", SHARD)
        upto = str(int(guard.last or 0) + 1)
        return LoadPlan("ticks", SHARD, guard.last, upto, guard.epoch, key, info.etag, info.size_bytes, CsvFormat())

    return planned


def cut(statement: str) -> Callable[[str], None]:
    """A hook that breaks the connection at the first statement that begins so."""
    waiting = [statement]

    def hook(sql: str) -> None:
        if waiting and sql.startswith(waiting[0]):
            waiting.clear()
            raise ConnectionResetError(f"cut at {sql}")

    return hook


def figures(warehouse: RedshiftWarehouse) -> tuple[int, int, int, str]:
    """(rows, distinct ids, ledger rows, guard)."""
    row = warehouse.query("SELECT count(*) AS n, count(DISTINCT id) AS d FROM ticks").to_pylist()[0]
    ledger = warehouse.query("SELECT count(*) AS n FROM _ledger").to_pylist()[0]["n"]
    return row["n"], row["d"], ledger, warehouse.guard("ticks", SHARD).last


@pytest.mark.parametrize(
    "statement", ["COPY", "BEGIN", "LOCK", "UPDATE", "DELETE FROM", "INSERT INTO", "SELECT CAST", "COMMIT"]
)
def test_a_connection_lost_before_the_statement_ran_leaves_nothing(
    warehouse: RedshiftWarehouse, store: ObjectStore, redshift_server: Redshift, plan: Plan, statement: str
) -> None:
    wanted = plan("in/a.csv", b"id,price\n1,1\n2,2\n")
    timed = TableSchema("ticks", TICKS.columns, TICKS.unique_key, event_time="id")
    redshift_server.proxy.on_start = cut(statement)
    with pytest.raises(UnavailableError):
        warehouse.load(wanted, timed, store)
    assert figures(warehouse) == (0, 0, 0, "")
    assert [found.key for found in store.list("_staging/")] == []
    assert warehouse.load(wanted, timed, store).loaded == 2
    assert figures(warehouse) == (2, 2, 1, "1")


def test_resume_after_commit_before_its_answer(
    warehouse: RedshiftWarehouse, store: ObjectStore, redshift_server: Redshift, plan: Plan
) -> None:
    wanted = plan("in/a.csv", b"id,price\n1,1\n2,2\n")
    redshift_server.proxy.on_end = cut("COMMIT")
    with pytest.raises(UnavailableError):
        warehouse.load(wanted, TICKS, store)
    assert figures(warehouse) == (2, 2, 1, "1")
    again = warehouse.load(wanted, TICKS, store)
    assert (again.loaded, again.position) == (2, 1)
    assert figures(warehouse) == (2, 2, 1, "1")


def test_loaders_of_one_plan_at_once_load_it_once(
    warehouse: RedshiftWarehouse, store: ObjectStore, redshift_server: Redshift, plan: Plan
) -> None:
    wanted = plan("in/a.csv", b"id,price\n" + b"".join(b"%d,1\n" % i for i in range(50)))

    def load(_: int) -> tuple[int, int]:
        mine = redshift_warehouse(redshift_server, warehouse.system)
        try:
            receipt = mine.load(wanted, TICKS, store)
        finally:
            mine.close()
        return receipt.loaded, receipt.position

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(load, range(4))) == [(50, 1)] * 4
    assert figures(warehouse) == (50, 50, 1, "1")


def test_loaders_of_different_plans_from_one_guard_let_one_through(
    warehouse: RedshiftWarehouse, store: ObjectStore, redshift_server: Redshift, plan: Plan
) -> None:
    plans = [plan(f"in/{name}.csv", b"id,price\n%d,1\n" % name) for name in range(4)]

    def load(wanted: LoadPlan) -> str:
        mine = redshift_warehouse(redshift_server, warehouse.system)
        try:
            mine.load(wanted, TICKS, store)
        except ConflictError:
            return "refused"
        finally:
            mine.close()
        return "loaded"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(load, plans)) == ["loaded", "refused", "refused", "refused"]
    assert figures(warehouse) == (1, 1, 1, "1")


def test_shards_loaded_at_once_share_a_table_whose_keys_stay_unique(
    warehouse: RedshiftWarehouse, store: ObjectStore, redshift_server: Redshift
) -> None:
    def load(number: int) -> tuple[int, int]:
        mine = redshift_warehouse(redshift_server, warehouse.system)
        try:
            key = f"in/{number}.csv"
            info = store.put(
                key, b"id,price\n" + b"".join(b"%d,%d\n" % (i, number) for i in range(number, number + 10))
            )
            guard = mine.guard("ticks", f"objects/{number}/")
            shard = f"objects/{number}/"
            wanted = LoadPlan(
                "ticks", shard, guard.last, "1", guard.epoch, key, info.etag, info.size_bytes, CsvFormat()
            )
            receipt = mine.load(wanted, TICKS, store)
        finally:
            mine.close()
        return receipt.arrived, receipt.loaded + receipt.duplicates

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(load, range(4))) == [(10, 10)] * 4
    row = warehouse.query("SELECT count(*) AS n, count(DISTINCT id) AS d FROM ticks").to_pylist()[0]
    assert row == {"n": 13, "d": 13}
    positions = warehouse.query("SELECT position FROM _ledger ORDER BY position").to_pylist()
    assert [row["position"] for row in positions] == [1, 2, 3, 4]


def test_a_conflict_at_every_try_gives_up_with_nothing_changed(
    warehouse: RedshiftWarehouse,
    store: ObjectStore,
    redshift_server: Redshift,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlplatform.adapters.warehouse import sql_session

    monkeypatch.setattr(sql_session, "ATTEMPTS", 3)
    wanted = plan("in/a.csv", b"id,price\n1,1\n")
    refused = RedshiftRefusedError("1023 DETAIL: Serializable isolation violation on table ticks", "XX000")
    redshift_server.proxy.refuse("INSERT INTO", refused, times=3)
    with pytest.raises(TransientError, match="lost the race with other transactions 3 times"):
        warehouse.load(wanted, TICKS, store)
    assert figures(warehouse) == (0, 0, 0, "")
    assert warehouse.load(wanted, TICKS, store).loaded == 1


def test_no_key_is_enforced_by_the_server(warehouse: RedshiftWarehouse, redshift_server: Redshift) -> None:
    """What keeps rows unique is the adapter's own SQL."""
    sent = " ".join(s for s in redshift_server.proxy.statements if warehouse.system in s).upper()
    assert "CREATE TABLE" in sent
    assert "UNIQUE" not in sent
    assert "PRIMARY KEY" not in sent
    found = redshift_server.server.psql(
        "SELECT count(*) FROM pg_constraint WHERE contype IN ('p', 'u') AND connamespace = "
        f"'{warehouse.system}'::regnamespace"
    )
    assert found == [["0"]]
