"""What is Snowflake's own about its adapter: ways in, tags, sessions, names, types of results, errors by number."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse import snowflake_unload
from mlplatform.adapters.warehouse.snowflake import SnowflakeWarehouse
from mlplatform.adapters.warehouse.snowflake_results import check_count, typed
from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings
from mlplatform.core.loads.plan import LoadPlan, Receipt
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import (
    UnavailableError,
)
from mlplatform.ports.batches import Batched
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.snowflake_warehouse import snowflake_warehouse
from mlplatform_tests.conformance.warehouses import CSV
from mlplatform_tests.servers.snowflake.server import Snowflake

NOTES = TableSchema("notes", (Column("id", "bigint"), Column("text"), Column("at", "timestamp")))


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return DirectoryObjectStore(tmp_path / "objects")


@pytest.fixture
def warehouse(snowflake_server: Snowflake) -> Iterator[SnowflakeWarehouse]:
    found = snowflake_warehouse(snowflake_server)
    found.create(NOTES)
    yield found
    snowflake_server.mend()
    found.close()


def load(warehouse: SnowflakeWarehouse, store: ObjectStore, key: str, data: bytes) -> Receipt:
    info = store.put(key, data)
    guard = warehouse.guard("notes", "objects/in/")
    upto = str(int(guard.last or 0) + 1)
    plan = LoadPlan("notes", "objects/in/", guard.last, upto, guard.epoch, key, info.etag, info.size_bytes, CSV)
    return warehouse.load(plan, NOTES, store)


ONE = "SELECT 1 AS one"


def test_statements_are_tagged_with_system_call_and_batch(
    warehouse: SnowflakeWarehouse, store: ObjectStore, snowflake_server: Snowflake
) -> None:
    receipt = load(warehouse, store, "in/a.csv", b"id,text,at\n1,a,\n")
    copied = [s for s in snowflake_server.statements() if s["sql"].startswith("COPY INTO")][-1]
    assert json.loads(copied["parameters"]["QUERY_TAG"]) == {
        "platform": "mlplatform",
        "system": warehouse.system,
        "call": "load",
        "table": "notes",
        "batch": receipt.batch_id,
    }


def test_columns_of_others_are_found_by_names_without_quotes(
    warehouse: SnowflakeWarehouse, snowflake_server: Snowflake
) -> None:
    others = snowflake_server.session(warehouse.system)
    others.execute(f"CREATE TABLE {warehouse.system}.Their_Sales (Shop VARCHAR, Total NUMBER(38, 0))")
    others.execute(f"INSERT INTO {warehouse.system}.their_sales VALUES ('A', 7)")
    others.close()
    found = warehouse.query("SELECT shop, Total FROM their_sales")
    assert [(f.name, str(f.type)) for f in found.schema] == [("shop", "string"), ("total", "int64")]
    assert found.to_pylist() == [{"shop": "A", "total": 7}]


def test_parameters_and_results_keep_their_types(warehouse: SnowflakeWarehouse, store: ObjectStore) -> None:
    load(warehouse, store, "in/a.csv", b"id,text,at\n9223372036854775807,it's ? %s $1,2020-01-01T10:00:00\n")
    zone = timezone(timedelta(hours=2))
    found = warehouse.query(
        "SELECT id, text, at, avg(id) AS a, CAST(1.5 AS decimal(5,2)) AS d, true AS b, CAST(at AS date) AS day, "
        "count(*) AS n FROM notes WHERE at = ? AND text = ? AND id > ? GROUP BY ALL",
        [datetime(2020, 1, 1, 12, tzinfo=zone), "it's ? %s $1", 5],
    )
    kinds = ["int64", "string", "timestamp[us]", "double", "decimal128(5, 2)", "bool", "date32[day]", "int64"]
    assert [str(field.type) for field in found.schema] == kinds
    whole = 2**63 - 1
    assert list(found.to_pylist()[0].values()) == [
        whole, "it's ? %s $1", datetime(2020, 1, 1, 10), float(whole), Decimal("1.50"), True, date(2020, 1, 1), 1,  # noqa: DTZ001
    ]  # fmt: skip


def test_a_time_that_is_none_stays_none(warehouse: SnowflakeWarehouse, store: ObjectStore) -> None:
    load(warehouse, store, "in/a.csv", b"id,text,at\n1,a,\n2,b,1969-12-31T23:59:59.123456\n")
    assert warehouse.query("SELECT at FROM notes ORDER BY id").column("at").to_pylist() == [
        None,
        datetime(1969, 12, 31, 23, 59, 59, 123456),  # noqa: DTZ001
    ]


def test_whole_numbers_beyond_64_bits_are_decimals() -> None:
    """On the driver's batches as such: the stand-in keeps whole numbers of 38 digits in 64 bits."""
    told = pa.schema([pa.field("n", pa.int64()), pa.field("m", pa.int64()), pa.field("at", pa.timestamp("us"))])
    wide, narrow = [Decimal(2**64), None], [Decimal(7), Decimal(-1)]
    moment = pa.array([1_600_000_000_123_456_789, None], pa.timestamp("ns"))
    kind = pa.decimal128(38, 0)
    found = typed(pa.table({"N": pa.array(wide, kind), "M": pa.array(narrow, kind), "AT": moment}), told)
    assert [str(f.type) for f in found.schema] == ["decimal128(38, 0)", "int64", "timestamp[us]"]
    assert found.column("n").to_pylist() == wide
    assert found.column("m").to_pylist() == [7, -1]
    assert found.column("at").to_pylist()[0].microsecond == 123456


def test_unloads_of_one_call_are_of_one_state_of_the_books(
    warehouse: SnowflakeWarehouse, store: ObjectStore, snowflake_server: Snowflake
) -> None:
    load(warehouse, store, "in/a.csv", b"id,text,at\n1,a,\n")
    before = len(snowflake_server.statements())
    warehouse.unload({"u/first": "SELECT id FROM notes", "u/second": "SELECT text FROM notes"}, store)
    sent = [s["sql"].split()[0] for s in snowflake_server.statements()[before:]]
    held = sent[sent.index("BEGIN") : sent.index("COMMIT")]
    assert held[:2] == ["BEGIN", "UPDATE"]
    assert held.count("SELECT") == 4


def test_a_long_unload_comes_in_parts_that_keep_its_order(
    warehouse: SnowflakeWarehouse, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(warehouse, store, "in/a.csv", b"id,text,at\n" + b"".join(b"%d,x%d,\n" % (n, n) for n in range(100)))
    monkeypatch.setattr(snowflake_unload, "PART_ROWS", 30)
    found = warehouse.unload({"u": "SELECT id FROM notes ORDER BY id DESC"}, store)["u"]
    assert [(part.key, part.rows) for part in found.parts] == [
        ("u/part-00000.parquet", 30),
        ("u/part-00001.parquet", 30),
        ("u/part-00002.parquet", 30),
        ("u/part-00003.parquet", 10),
    ]
    ids = []
    for part in found.parts:
        with store.open(part.key) as file:
            ids += pq.read_table(io.BytesIO(file.read())).column("id").to_pylist()
    assert ids == list(range(99, -1, -1))


def test_quotes_and_backslashes_are_only_text(warehouse: SnowflakeWarehouse, store: ObjectStore) -> None:
    odd = "\\' OR 1 = 1 -- \\\\''n\\n"
    load(warehouse, store, "in/a\\'b.csv", b"id,text,at\n1," + odd.encode() + b",\n2,x,\n")
    sql = "SELECT id, text FROM notes WHERE text = '" + odd.replace("'", "''") + "'"
    assert warehouse.query(sql).to_pylist() == [{"id": 1, "text": odd}]
    assert warehouse.query("SELECT id FROM notes WHERE text = ?", [odd]).to_pylist() == [{"id": 1}]


@pytest.mark.parametrize(
    ("declared", "found"), [("decimal(38,0)", "decimal(38,0)"), ("decimal(19,0)", "bigint"), ("bigint", "bigint")]
)
def test_a_table_made_again_as_it_is_is_not_changed(
    warehouse: SnowflakeWarehouse, snowflake_server: Snowflake, declared: str, found: str
) -> None:
    schema = TableSchema("whole", (Column("n", declared),))
    warehouse.create(schema)
    before = len(snowflake_server.statements())
    warehouse.create(schema)
    assert len(snowflake_server.statements()) == before + 1
    assert warehouse._tables.columns("whole")["n"] == found


@pytest.mark.parametrize("broke_off_at", ["UPDATE", "ALTER TABLE {t} DROP", "ALTER TABLE {t} RENAME"])
def test_a_widening_that_broke_off_is_finished(
    warehouse: SnowflakeWarehouse, store: ObjectStore, snowflake_server: Snowflake, broke_off_at: str
) -> None:
    load(warehouse, store, "in/a.csv", b"id,text,at\n7,a,\n")
    table = f'"{warehouse.system.upper()}"."NOTES"'
    begins = f"UPDATE {table}" if broke_off_at == "UPDATE" else broke_off_at.format(t=table)
    wider = TableSchema("notes", (Column("id"), *NOTES.columns[1:]))
    snowflake_server.fail(begins)
    with pytest.raises(UnavailableError):
        warehouse.create(wider)
    warehouse.create(wider)
    assert warehouse.query("SELECT id, text FROM notes").to_pylist() == [{"id": "7", "text": "a"}]
    names = [*NOTES.names, "_batch_id", "_source", "_offset", "_loaded_at"]
    assert sorted(warehouse.query("SELECT * FROM notes").column_names) == sorted(names)


def test_load_times_are_those_of_the_clock_it_is_given(snowflake_server: Snowflake, store: ObjectStore) -> None:
    now = datetime(2020, 1, 1, 12, 30, tzinfo=UTC)
    settings = SnowflakeSettings.model_validate(snowflake_server.settings)
    secrets = EnvironmentSecrets(snowflake_server.secrets)
    found = SnowflakeWarehouse(settings, secrets, system="clock", now=lambda: now)
    found.create(NOTES)
    assert load(found, store, "in/a.csv", b"id,text,at\n1,a,\n").loaded_at == now
    assert found.query("SELECT _loaded_at FROM notes").to_pylist() == [{"_loaded_at": now.replace(tzinfo=None)}]
    found.close()


def test_the_ledger_keeps_the_ends_of_event_times_to_the_microsecond(
    warehouse: SnowflakeWarehouse, store: ObjectStore
) -> None:
    timed = TableSchema("notes", NOTES.columns, event_time="at")
    info = store.put("in/a.csv", b"id,text,at\n1,a,2020-01-01T10:00:00.5\n2,b,2020-01-01T11:00:00\n")
    guard = warehouse.guard("notes", "objects/in/")
    plan = LoadPlan("notes", "objects/in/", guard.last, "1", guard.epoch, "in/a.csv", info.etag, info.size_bytes, CSV)
    receipt = warehouse.load(plan, timed, store)
    assert (receipt.event_time_min, receipt.event_time_max) == ("2020-01-01 10:00:00.5", "2020-01-01 11:00:00")


def test_a_result_that_came_incomplete_is_not_taken_for_whole() -> None:
    @dataclass
    class Told:
        rowcount: int | None

    for rowcount in (7, None, -1):
        check_count(Told(rowcount), 7)
    with pytest.raises(UnavailableError, match="expected 7 rows, found 6"):
        check_count(Told(7), 6)


def test_rows_come_in_parts_whose_missing_ones_are_noticed(
    warehouse: SnowflakeWarehouse, store: ObjectStore, snowflake_server: Snowflake
) -> None:
    load(warehouse, store, "in/a.csv", b"id,text,at\n1,a,\n2,b,\n")
    assert isinstance(warehouse, Batched)
    found = pa.Table.from_batches(list(warehouse.batches("SELECT id, at FROM notes ORDER BY id")))
    assert [str(f.type) for f in found.schema] == ["int64", "timestamp[us]"]
    assert found.column("id").to_pylist() == [1, 2]
    snowflake_server.fail("SELECT", do="lose_rows")
    with pytest.raises(UnavailableError, match="expected 3 rows, found 2"):
        list(warehouse.batches("SELECT id FROM notes"))
    snowflake_server.fail("SELECT", do="lose_rows")
    assert warehouse.query("SELECT id FROM notes").num_rows == 2  # asked again
