"""What is Hive's own about its adapter: values through Parquet and Thrift, views for others, upkeep, kills, races."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse import hive_ledger
from mlplatform.adapters.warehouse.hive import HiveWarehouse
from mlplatform.adapters.warehouse.hive_connection import HiveConnection
from mlplatform.adapters.warehouse.hive_log import State
from mlplatform.core.loads.erasure import Condition, Erased, Erasure
from mlplatform.core.loads.plan import CsvFormat, LoadPlan, Receipt
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import ConflictError, DataError, NotFoundError
from mlplatform_tests.conformance.hive_warehouse import hive_warehouse
from mlplatform_tests.servers.hive.server import Hive
from mlplatform_tests.stations.crashing_store import EdgedStore

TICKS = TableSchema("ticks", (Column("id", "bigint", nullable=False), Column("text")), unique_key=("id",))
SHARD = "objects/in/"


@dataclass
class World:
    server: Hive
    folder: Path
    warehouse: HiveWarehouse
    objects: DirectoryObjectStore

    def load(self, key: str, data: bytes, schema: TableSchema = TICKS, shard: str = SHARD) -> Receipt:
        return self.warehouse.load(self.plan(key, data, schema.name, shard), schema, self.objects)

    def plan(self, key: str, data: bytes, table: str = "ticks", shard: str = SHARD) -> LoadPlan:
        info = self.objects.put(key, data)
        guard = self.warehouse.guard(table, shard)
        upto = str(int(guard.last or 0) + 1)
        return LoadPlan(table, shard, guard.last, upto, guard.epoch, key, info.etag, info.size_bytes, CsvFormat())

    def unloaded(self, sql: str, kind: Literal["parquet", "csv"] = "parquet") -> Iterator[bytes]:
        """The bytes of each part, in order."""
        for part in self.warehouse.unload({"u": sql}, self.objects, format=kind)["u"].parts:
            with self.objects.open(part.key) as file:
                yield file.read()

    def count(self) -> int:
        return int(self.warehouse.query("SELECT count(*) AS n FROM ticks").to_pylist()[0]["n"])


@pytest.fixture
def world(hive_server: Hive, tmp_path: Path) -> Iterator[World]:
    warehouse = hive_warehouse(hive_server, tmp_path / "hive")
    warehouse.create(TICKS)
    yield World(hive_server, tmp_path, warehouse, DirectoryObjectStore(tmp_path / "objects", settle_s=0.0))
    warehouse.close()


@pytest.fixture
def beside(hive_server: Hive, world: World) -> Iterator[HiveConnection]:
    """Somebody else who reads in the same server."""
    with closing(HiveConnection(world.warehouse.settings, EnvironmentSecrets(hive_server.secrets))) as found:
        yield found


VALUES = TableSchema(
    "kinds",
    (
        Column("id", "bigint"),
        Column("t"),
        Column("f", "double"),
        Column("d", "decimal(38,10)"),
        Column("b", "boolean"),
        Column("day", "date"),
        Column("at", "timestamp"),
        Column("j", "json"),
    ),
)
UTC_TIMES = [
    datetime.fromisoformat(t) for t in ("2020-01-01T10:00:00.123456", "0001-01-01", "9999-12-31T23:59:59.999999")
]
ROWS = [
    (1, "ä€\U0001f600 \x00 '\"\\ \n\t", 1.7976931348623157e308, Decimal("1234567890123456789012345678.0123456789"), True,
     date(9999, 12, 31), UTC_TIMES[0], '{"a": [1, null]}'),
    (-(2**63), "", 5e-324, Decimal("-0.0000000001"), False, date(1, 1, 1), UTC_TIMES[1], "{}"),
    (2**63 - 1, " x ", -0.1, Decimal("0E-10"), None, date(1500, 2, 28), UTC_TIMES[2], "[]"),
    (0, None, None, None, None, None, None, None),
]  # fmt: skip


def test_values_survive_the_way_in_and_both_ways_out(world: World) -> None:
    def text(value: object) -> str:
        if value is None:
            return ""
        quoted = str(value).replace('"', '""')
        return f'"{quoted}"'

    world.warehouse.create(VALUES)
    lines = [",".join(map(text, row)) for row in ROWS]
    receipt = world.load("k/a.csv", "\n".join(["id,t,f,d,b,day,at,j", *lines]).encode(), VALUES, "objects/k/")
    assert (receipt.loaded, receipt.quarantined) == (4, 0)
    select = "SELECT id, t, f, d, b, day, at, j FROM kinds ORDER BY f NULLS LAST"
    expected = sorted(ROWS, key=lambda row: (row[2] is None, row[2]))
    found = world.warehouse.query(select)
    assert [tuple(row.values()) for row in found.to_pylist()] == expected
    kinds = ["int64", "string", "double", "decimal128(38, 10)", "bool", "date32[day]", "timestamp[us]", "string"]
    assert [str(field.type) for field in found.schema] == kinds
    unloaded = pa.concat_tables(pq.read_table(io.BytesIO(data)) for data in world.unloaded(select))
    assert [str(field.type) for field in unloaded.schema] == kinds
    assert [tuple(row.values()) for row in unloaded.to_pylist()] == expected


def test_a_csv_tells_null_from_the_empty_text_and_keeps_blanks_and_microseconds(world: World) -> None:
    world.warehouse.create(VALUES)
    data = b'id,t,f,d,b,day,at,j\n1," x ",,,,,2020-01-01 10:00:00.000001,\n2,"",,,,,,\n3,,,,,,,\n'
    world.load("k/a.csv", data, VALUES, "objects/k/")
    sql = "SELECT id, t, at FROM kinds ORDER BY id"
    parts = list(world.unloaded(sql, kind="csv"))
    assert {part.partition(b"\n")[0] for part in parts} == {b"id,t,at"}
    lines = [line for part in parts for line in part.splitlines()[1:]]
    assert lines == [b"1, x ,2020-01-01 10:00:00.000001", b'2,"",', b"3,,"]


def test_rows_come_in_batches_while_the_warehouse_answers_others(world: World) -> None:
    world.load("in/a.csv", b"id,text\n1,a\n2,b\n")
    rows = world.warehouse.batches("SELECT r.i FROM range(120000) AS r(i)")
    first = next(rows)
    assert 0 < first.num_rows < 120_000
    assert world.count() == 2
    assert sum(batch.num_rows for batch in rows) + first.num_rows == 120_000
    (empty,) = world.warehouse.batches("SELECT id, text FROM ticks WHERE id > 9")
    assert (empty.num_rows, empty.schema.names) == (0, ["id", "text"])
    with pytest.raises(NotFoundError, match=r"'nope'.*id, text"):
        next(world.warehouse.batches("SELECT nope FROM ticks"))


def test_nan_and_infinity_are_told_from_numbers_in_results(world: World) -> None:
    found = world.warehouse.query(
        "SELECT CAST('nan' AS double) AS a, CAST('inf' AS double) AS b, ? AS c", [float("-inf")]
    )
    row = found.to_pylist()[0]
    assert (str(row["a"]), row["b"], row["c"]) == ("nan", float("inf"), float("-inf"))


@pytest.mark.slow
def test_others_see_committed_rows_in_a_view_and_no_part_of_a_loader_that_died(
    world: World, beside: HiveConnection
) -> None:
    shown = hive_warehouse(world.server, world.folder / "hive", world.warehouse.system, views=True)
    wider = TableSchema("ticks", (*TICKS.columns, Column("n", "bigint")), TICKS.unique_key)
    shown.create(wider)

    def rows() -> list[int]:
        return sorted(beside.read(f"SELECT id FROM {shown.database}.ticks").column("id").to_pylist())

    assert rows() == []
    first = world.load("in/a.csv", b"id,text\n1,a\n2,b\n")
    dying = EdgedStore(DirectoryObjectStore(world.folder / "hive", settle_s=0.0), _dies_at("before put hive", 2))
    killed = HiveWarehouse(shown.settings, EnvironmentSecrets(world.server.secrets), dying, system=shown.system)
    with pytest.raises(KeyboardInterrupt):
        killed.load(world.plan("in/b.csv", b"id,text\n7,x\n"), wider, world.objects)
    killed.close()
    assert rows() == [1, 2]
    world.load("in/b.csv", b"id,text,n\n2,b,\n3,c,9\n", wider)
    assert rows() == [1, 2, 3]
    world.warehouse.maintain(now=datetime.now(UTC), keep=timedelta(0))
    assert rows() == [1, 2, 3]
    erasure = Erasure("e", "ticks", (Condition("_batch_id", "equal", first.batch_id),), "asked for", datetime.now(UTC))
    assert world.warehouse.erase(erasure) == Erased(rows=2, records=0)
    assert rows() == [3]
    world.load("in/c.csv", b"id,text,n\n4,,\n", wider)
    assert rows() == [3, 4]
    shown.close()


def test_an_erased_row_is_in_no_file_any_more(world: World) -> None:
    world.load("in/a.csv", b"id,text\n" + b"".join(b"%d,other%d\n" % (i, i) for i in range(50)) + b"50,Zebedee\n")
    assert _holding(world.folder / "hive", b"Zebedee") == 1
    condition = Condition("text", "equal", "Zebedee")
    assert world.warehouse.erase(Erasure("e", "ticks", (condition,), "asked for", datetime.now(UTC))).rows == 1
    assert _holding(world.folder / "hive", b"Zebedee") == 0
    assert world.count() == 50


def test_upkeep_merges_parts_and_loads_go_on_as_before(world: World) -> None:
    plans = [world.plan("in/0.csv", b"id,text\n0,\n")]
    first = world.warehouse.load(plans[0], TICKS, world.objects)
    for number in range(1, 5):
        world.load(f"in/{number}.csv", b"id,text\n%d,\n0,\n" % number)
    now = datetime.now(UTC)
    done = world.warehouse.maintain(now=now, keep=timedelta(0))
    assert (done.files_before, done.files_after) == (5, 2)
    assert done.files_deleted >= 5
    fresh = hive_warehouse(world.server, world.folder / "hive", world.warehouse.system)
    # The ledger lies in a part now: the receipt is found there, and the keys in the merged one.
    assert fresh.load(plans[0], TICKS, world.objects) == first
    again = world.load("in/9.csv", b"id,text\n3,\n9,\n")
    assert (again.loaded, again.duplicates, again.position) == (1, 1, 6)
    assert fresh.query("SELECT count(*) AS n, max(position) AS p FROM _ledger").to_pylist() == [{"n": 6, "p": 6}]
    assert fresh.maintain(now=now + timedelta(hours=1), keep=timedelta(0)).files_after == 2
    assert world.count() == 6
    fresh.close()


def test_a_query_whose_files_are_deleted_meanwhile_is_asked_again(world: World) -> None:
    """Red without the look at the log behind a query: Spark leaves out a folder that is gone, and says nothing."""
    world.load("in/a.csv", b"id,text\n0,\n1,\n")
    world.load("in/b.csv", b"id,text\n2,\n")
    sql = "SELECT count(*) AS n FROM ticks"
    answers: list[int] = []
    other = hive_warehouse(world.server, world.folder / "hive", world.warehouse.system)

    def ask(state: State) -> int:
        select = world.warehouse._reader.select(state, sql, ())
        if not answers:
            other.erase(Erasure("e", "ticks", (Condition("id", "equal", "0"),), "asked for", datetime.now(UTC)))
        answers.append(world.warehouse._connection.read(select).to_pylist()[0]["n"])
        return answers[-1]

    assert world.warehouse._reader.asked(ask, [sql]) == 2
    assert answers == [1, 2]
    other.close()


def test_the_ledger_moves_to_parts_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hive_ledger, "MOST_IN_STATE", 2)
    for number in range(5):
        world.load(f"in/{number}.csv", b"id,text\n%d,\n" % number)
    rows = world.warehouse.query("SELECT position, key FROM _ledger ORDER BY position").to_pylist()
    assert [(row["position"], row["key"]) for row in rows] == [(n + 1, f"in/{n}.csv") for n in range(5)]
    state = world.warehouse._commits.state()
    assert (len(state.parts_of("_ledger")), len(state.ledger), sum(state.positions().values())) == (2, 1, 5)


def test_a_key_that_another_loader_commits_right_before_is_a_duplicate(world: World) -> None:
    """The race is lost after duplicates were looked for: they are looked for again, in what is new."""
    other = hive_warehouse(world.server, world.folder / "hive", world.warehouse.system)
    world.load("in/a.csv", b"id,text\n1,a\n")
    theirs = world.plan("b/a.csv", b"id,text\n2,theirs\n3,theirs\n", shard="objects/b/")
    mine = world.plan("in/b.csv", b"id,text\n1,mine\n2,mine\n4,mine\n")
    moved: list[Receipt] = []

    def edge(name: str) -> None:
        if name.startswith("before put") and "_commits" in name and not moved:
            moved.append(other.load(theirs, TICKS, world.objects))

    store = EdgedStore(DirectoryObjectStore(world.folder / "hive", settle_s=0.0), edge)
    secrets = EnvironmentSecrets(world.server.secrets)
    with closing(HiveWarehouse(other.settings, secrets, store, system=other.system)) as racing:
        receipt = racing.load(mine, TICKS, world.objects)
    assert (receipt.loaded, receipt.duplicates, receipt.position) == (1, 2, 3)
    rows = world.warehouse.query("SELECT id, text FROM ticks ORDER BY id").to_pylist()
    assert [tuple(row.values()) for row in rows] == [(1, "a"), (2, "theirs"), (3, "theirs"), (4, "mine")]
    other.close()


def test_an_unload_that_fails_leaves_no_object_behind(world: World) -> None:
    world.load("in/a.csv", b"id,text\n1,a\n")
    queries = {"u/good": "SELECT id FROM ticks", "u/bad": "SELECT CAST(text AS bigint) AS n FROM ticks"}
    with pytest.raises(DataError, match="The query is wrong"):
        world.warehouse.unload(queries, world.objects)
    assert list(world.objects.list("u/")) == []


def test_a_store_that_needs_files_to_settle_gives_an_unload_whole(world: World) -> None:
    slow = DirectoryObjectStore(world.folder / "slow", settle_s=0.5)
    world.load("in/a.csv", b"id,text\n1,a\n2,b\n")
    found = world.warehouse.unload({"u": "SELECT id FROM ticks"}, slow)["u"]
    assert sum(part.rows for part in found.parts) == 2
    assert [info.key for info in slow.list("u/")] == [part.key for part in found.parts]


def test_a_name_that_the_files_need_is_refused(world: World) -> None:
    with pytest.raises(ConflictError, match="mlplatform_part"):
        world.warehouse.create(TableSchema("t", (Column("mlplatform_part"),)))


def test_a_masked_warehouse_tells_no_value(world: World) -> None:
    world.load("in/a.csv", b"id,text\n1,secret thing\n")
    masked = hive_warehouse(world.server, world.folder / "hive", world.warehouse.system, masked=True)
    with pytest.raises(DataError, match="is not told") as error:
        masked.query("SELECT CAST(text AS bigint) AS n FROM ticks")
    assert "secret thing" not in str(error.value)
    assert error.value.__cause__ is None
    masked.close()


def _dies_at(name: str, number: int) -> object:
    seen = []

    def edge(found: str) -> None:
        if found.startswith(name):
            seen.append(found)
            if len(seen) >= number:
                raise KeyboardInterrupt

    return edge


def _holding(folder: Path, text: bytes) -> int:
    return sum(text in path.read_bytes() for path in folder.rglob("*.parquet"))
