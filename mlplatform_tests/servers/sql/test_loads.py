"""Loads into a warehouse that speaks SQL, which race, break off or lose their answer; no server enforces what could save them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from mlplatform.adapters.warehouse.sql_warehouse import SqlWarehouse
from mlplatform.core.loads.plan import LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import ConflictError, DataError, UnavailableError
from mlplatform_tests.servers.sql.engines import TICKS, Engine

T = TypeVar("T")

TIMED = TableSchema("ticks", TICKS.columns, TICKS.unique_key, event_time="id")
NOTES = TableSchema("notes", (Column("id", "bigint"), Column("text"), Column("at", "timestamp")))


def at_once(engine: Engine, do: Callable[[SqlWarehouse, int], T]) -> list[T]:
    """What four processes got."""

    def one(number: int) -> T:
        mine = engine.opened()
        try:
            return do(mine, number)
        finally:
            mine.close()

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, range(4)))


@pytest.mark.parametrize(
    "statement", ["brings", "BEGIN", "locks", "UPDATE", "DELETE FROM", "INSERT INTO", "SELECT CAST", "COMMIT"]
)
def test_a_session_lost_before_the_statement_ran_leaves_nothing(engine: Engine, statement: str) -> None:
    beginnings = {"brings": engine.brings, "locks": (engine.locks,)}.get(statement, (statement,))
    for number, beginning in enumerate(beginnings):
        wanted = engine.plan("in/a.csv", b"id,price\n1,1\n2,2\n")
        engine.cut(beginning)
        with pytest.raises(UnavailableError):
            engine.warehouse.load(wanted, TIMED, engine.store)
        assert engine.figures() == (0, 0, 0, ""), number
        assert [found.key for found in engine.store.list("_staging/")] == []
    assert engine.warehouse.load(wanted, TIMED, engine.store).loaded == 2
    assert engine.figures() == (2, 2, 1, "1")


def test_resume_after_commit_before_its_answer(engine: Engine) -> None:
    wanted = engine.plan("in/a.csv", b"id,price\n1,1\n2,2\n")
    engine.cut("COMMIT", after=True)
    with pytest.raises(UnavailableError):
        engine.warehouse.load(wanted, TICKS, engine.store)
    assert engine.figures() == (2, 2, 1, "1")
    again = engine.warehouse.load(wanted, TICKS, engine.store)
    assert (again.loaded, again.position) == (2, 1)
    assert engine.figures() == (2, 2, 1, "1")


def test_loaders_of_one_plan_at_once_load_it_once(engine: Engine) -> None:
    wanted = engine.plan("in/a.csv", b"id,price\n" + b"".join(b"%d,1\n" % i for i in range(50)))

    def load(mine: SqlWarehouse, _: int) -> tuple[int, int]:
        receipt = mine.load(wanted, TICKS, engine.store)
        return receipt.loaded, receipt.position

    assert at_once(engine, load) == [(50, 1)] * 4
    assert engine.figures() == (50, 50, 1, "1")


def test_loaders_of_different_plans_from_one_guard_let_one_through(engine: Engine) -> None:
    plans = [engine.plan(f"in/{name}.csv", b"id,price\n%d,1\n" % name) for name in range(4)]

    def load(mine: SqlWarehouse, number: int) -> str:
        try:
            mine.load(plans[number], TICKS, engine.store)
        except ConflictError:
            return "refused"
        return "loaded"

    assert sorted(at_once(engine, load)) == ["loaded", "refused", "refused", "refused"]
    assert engine.figures() == (1, 1, 1, "1")


def test_shards_loaded_at_once_share_a_table_whose_keys_stay_unique(engine: Engine) -> None:
    def load(mine: SqlWarehouse, number: int) -> tuple[int, int]:
        lines = b"".join(b"%d,%d\n" % (i, number) for i in range(number, number + 10))
        wanted: LoadPlan = engine.plan(f"in/{number}.csv", b"id,price\n" + lines, shard=f"objects/{number}/", by=mine)
        receipt = mine.load(wanted, TICKS, engine.store)
        return receipt.arrived, receipt.loaded + receipt.duplicates

    assert at_once(engine, load) == [(10, 10)] * 4
    row = engine.warehouse.query("SELECT count(*) AS n, count(DISTINCT id) AS d FROM ticks").to_pylist()[0]
    assert row == {"n": 13, "d": 13}
    positions = engine.warehouse.query("SELECT position FROM _ledger ORDER BY position").to_pylist()
    assert [row["position"] for row in positions] == [1, 2, 3, 4]


def test_several_processes_may_make_a_table_at_once(engine: Engine) -> None:
    def create(mine: SqlWarehouse, _: int) -> list[dict[str, str]]:
        mine.create(NOTES)
        rows: list[dict[str, str]] = mine.query(
            "SELECT shard, last FROM _guards WHERE table_name = 'notes'"
        ).to_pylist()
        return rows

    assert at_once(engine, create) == [[{"shard": "", "last": "0"}]] * 4


def test_an_empty_result_keeps_its_columns(engine: Engine) -> None:
    engine.warehouse.create(NOTES)
    found = engine.warehouse.query("SELECT id, text, at FROM notes")
    assert (found.num_rows, [str(f.type) for f in found.schema]) == (0, ["int64", "string", "timestamp[us]"])


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "found 0"),
        ("SELECT 1; SELECT 2", "found 2"),
        ("DELETE FROM t", "DELETE"),
        ("CREATE TABLE t AS SELECT 1", "CREATE"),
        ("WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x", "INSERT"),
        ("COPY t TO 'x'", "COPY"),
        ("SELECT FROM WHERE", "no SQL"),
    ],
)
def test_what_is_not_one_statement_that_reads_is_refused(engine: Engine, sql: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        engine.warehouse.query(sql)


def test_a_snapshot_is_refused_by_capability(engine: Engine) -> None:
    assert engine.warehouse.capabilities.snapshots is False
    with pytest.raises(DataError, match=r"no snapshots.*'7'"):
        engine.warehouse.unload({"u": "SELECT 1 AS one"}, engine.store, at="7")
