"""Loads into Hive that die or race at every edge. Without a unique key a load takes no server: what it leaves is read here."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.hive import HiveWarehouse
from mlplatform.adapters.warehouse.hive_commits import HiveCommits
from mlplatform.adapters.warehouse.hive_parts import PART, PART_OF_PATH
from mlplatform.adapters.warehouse.hive_settings import HiveSettings
from mlplatform.core.loads.plan import CsvFormat, LoadPlan, Receipt
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.stations.crashing_store import Crash, EdgedStore

TICKS = TableSchema("ticks", (Column("id", "bigint", nullable=False), Column("price", "double")))
SHARD = "objects/in/"
DATA = b"id,price\n1,1\n2,x\n3,3\n"


class World:
    """A warehouse's folder and the folder of objects to load; nothing listens at the server's address."""

    def __init__(self, root: Path) -> None:
        self.rows_in = DirectoryObjectStore(root / "hive", settle_s=0.0)
        self.objects = DirectoryObjectStore(root / "objects", settle_s=0.0)
        self.open().create(TICKS)

    def open(self, store: ObjectStore | None = None) -> HiveWarehouse:
        settings = HiveSettings(host="127.0.0.1", port=1, views=False)
        return HiveWarehouse(settings, EnvironmentSecrets({}), store or self.rows_in, system="s")

    def plan(self, key: str = "in/a.csv", data: bytes = DATA, shard: str = SHARD) -> LoadPlan:
        info = self.objects.put(key, data)
        guard = self.open().guard("ticks", shard)
        upto = str(int(guard.last or 0) + 1)
        return LoadPlan("ticks", shard, guard.last, upto, guard.epoch, key, info.etag, info.size_bytes, CsvFormat())

    def load(self, plan: LoadPlan, store: ObjectStore | None = None) -> Receipt:
        return self.open(store).load(plan, TICKS, self.objects)

    def committed(self) -> tuple[list[int], int, int, str]:
        """(ids, quarantined records, ledger rows, guard) that readers count."""
        state = HiveCommits(self.rows_in, "hive/s/_commits/").state()
        files = {
            table: [
                self.rows_in.url(info.key)
                for part in state.parts_of(table)
                for info in self.rows_in.list(f"hive/s/{part.folder}/{PART}={part.id}/")
            ]
            for table in ("ticks", "_quarantine")
        }
        ids = [row[0] for row in duckdb.read_parquet(files["ticks"]).order("id").fetchall()] if files["ticks"] else []
        bad = len(duckdb.read_parquet(files["_quarantine"]).fetchall()) if files["_quarantine"] else 0
        guard = state.guards.get(("ticks", SHARD))
        return ids, bad, state.positions().get("ticks", 0), guard.last if guard is not None else ""

    def parts(self) -> set[str]:
        return {PART_OF_PATH.findall(info.key)[0] for info in self.rows_in.list("hive/s/") if PART in info.key}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def dying(number: int) -> Callable[[str], None]:
    """An edge at which the process dies; what it would do in its last moments does not happen either."""
    count = itertools.count()

    def edge(_name: str) -> None:
        if next(count) >= number:
            raise Crash

    return edge


def test_a_load_killed_at_any_edge_leaves_nothing_or_all_of_it_and_its_rerun_is_exact(tmp_path: Path) -> None:
    survived = 0
    for number in range(100):
        world = World(tmp_path / str(number))
        plan = world.plan()
        try:
            world.load(plan, EdgedStore(world.rows_in, dying(number)))
            survived = number
        except Crash:
            assert world.committed() in (([], 0, 0, ""), ([1, 3], 1, 1, "1"))
        receipt = world.load(plan)
        assert (receipt.arrived, receipt.loaded, receipt.quarantined, receipt.position) == (3, 2, 1, 1)
        assert world.committed() == ([1, 3], 1, 1, "1")
        if survived:
            break
    assert survived > 8


def test_upkeep_takes_what_killed_loads_left_once_it_is_old(world: World) -> None:
    plan = world.plan()
    with pytest.raises(Crash):
        world.load(plan, EdgedStore(world.rows_in, dying(7)))
    left = world.parts()
    assert left
    world.load(plan)
    now = datetime.now(UTC)
    world.open().maintain(now=now, keep=timedelta(0))
    assert left < world.parts()
    later = now + timedelta(days=2)
    world.open().maintain(now=later, keep=timedelta(days=30))
    assert left < world.parts()
    world.open().maintain(now=later, keep=timedelta(0))
    assert not left & world.parts()
    assert world.committed() == ([1, 3], 1, 1, "1")


def test_a_load_that_comes_second_leaves_no_files(world: World) -> None:
    mine, theirs = world.plan("in/a.csv"), world.plan("in/b.csv", b"id,price\n7,7\n")
    moved = []

    def edge(name: str) -> None:
        if name.startswith("before put hive/s/_commits") and not moved:
            moved.append(world.load(theirs))

    with pytest.raises(ConflictError, match="out of date"):
        world.load(mine, EdgedStore(world.rows_in, edge))
    assert world.committed() == ([7], 0, 1, "1")
    assert len(world.parts()) == 1


def test_loads_of_two_shards_that_race_both_count_with_positions_of_their_own(world: World) -> None:
    mine, theirs = world.plan("in/a.csv"), world.plan("in/b.csv", b"id,price\n7,7\n", shard="objects/b/")
    moved: list[Receipt] = []

    def edge(name: str) -> None:
        if name.startswith("before put hive/s/_commits") and not moved:
            moved.append(world.load(theirs))

    receipt = world.load(mine, EdgedStore(world.rows_in, edge))
    assert (moved[0].position, receipt.position) == (1, 2)
    assert world.committed() == ([1, 3, 7], 1, 2, "1")


def test_a_stale_loader_is_refused_where_the_claim_came_right_before_its_commit(world: World) -> None:
    plan = world.plan()
    claimed = []

    def edge(name: str) -> None:
        if name.startswith("before put hive/s/_commits") and not claimed:
            claimed.append(world.open().guard("ticks", SHARD, claim=True))

    with pytest.raises(ConflictError, match="stale"):
        world.load(plan, EdgedStore(world.rows_in, edge))
    assert world.committed() == ([], 0, 0, "")


def test_the_receipt_of_a_batch_that_two_loaded_at_once_is_the_firsts(world: World) -> None:
    plan = world.plan()
    first: list[Receipt] = []

    def edge(name: str) -> None:
        if name.startswith("before put hive/s/_commits") and not first:
            first.append(world.load(plan))

    assert world.load(plan, EdgedStore(world.rows_in, edge)) == first[0]
    assert world.committed() == ([1, 3], 1, 1, "1")


def test_a_load_with_an_older_schema_goes_on_beside_a_wider_table(world: World) -> None:
    plan = world.plan()
    wider = TableSchema("ticks", (Column("id"), Column("price", "double"), Column("more")))
    world.open().create(wider)
    assert world.load(plan).loaded == 2
    other = TableSchema("ticks", (*TICKS.columns, Column("other")))
    info = world.objects.put("in/o.csv", b"id,price,other\n1,1,1\n")
    unknown = LoadPlan("ticks", SHARD, "1", "2", 0, "in/o.csv", info.etag, info.size_bytes, CsvFormat())
    with pytest.raises(ConflictError, match=r"'other' of table 'ticks' is not there.*Create it first"):
        world.open().load(unknown, other, world.objects)


def test_a_table_that_nobody_created_is_named(world: World) -> None:
    with pytest.raises(NotFoundError, match="'nope'"):
        world.open().guard("nope", SHARD)
    with pytest.raises(NotFoundError, match="'nope'"):
        world.open().load(world.plan(), TableSchema("nope", TICKS.columns), world.objects)
