"""What is Redshift's own about its adapter: limits, sessions, one snapshot an unload, errors by name."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse import redshift_results
from mlplatform.adapters.warehouse.redshift import RedshiftWarehouse
from mlplatform.adapters.warehouse.redshift_settings import RedshiftSettings
from mlplatform.core.loads.plan import LoadPlan, Receipt
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import DataError, NotFoundError, ProfileError, UnavailableError
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.object_stores import s3_store
from mlplatform_tests.conformance.redshift_warehouse import redshift_warehouse
from mlplatform_tests.conformance.warehouses import CSV, JSONL, PARQUET
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.redshift.proxy import RedshiftRefusedError
from mlplatform_tests.servers.redshift.server import Redshift

NOTES = TableSchema("notes", (Column("id", "bigint"), Column("text"), Column("at", "timestamp")))


@pytest.fixture
def store(ministack_server: Ministack) -> Iterator[ObjectStore]:
    found = s3_store(ministack_server)
    yield found
    found.close()


@pytest.fixture
def warehouse(redshift_server: Redshift) -> Iterator[RedshiftWarehouse]:
    found = redshift_warehouse(redshift_server)
    found.create(NOTES)
    yield found
    redshift_server.proxy.on_start = redshift_server.proxy.on_end = None
    found.close()


def load(warehouse: RedshiftWarehouse, store: ObjectStore, key: str, data: bytes) -> Receipt:
    info = store.put(key, data)
    guard = warehouse.guard("notes", "objects/in/")
    upto = str(int(guard.last or 0) + 1)
    kind = {"csv": CSV, "jsonl": JSONL, "parquet": PARQUET}[key.rpartition(".")[2]]
    plan = LoadPlan("notes", "objects/in/", guard.last, upto, guard.epoch, key, info.etag, info.size_bytes, kind)
    return warehouse.load(plan, NOTES, store)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 65_536, "column 'text': expected at most 65535 bytes, found 65536"),
        ("é" * 32_768, "column 'text': expected at most 65535 bytes, found 65536"),
        ("a\0b", "column 'text': expected text without a null byte, found 'a\\x00b'"),
    ],
    ids=["long", "long in UTF-8", "null byte"],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_record_whose_text_redshift_cannot_hold_is_quarantined_alone(
    warehouse: RedshiftWarehouse, store: ObjectStore, text: str, reason: str, suffix: str
) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "text": ["fits", text]}), sink)
    data = {
        "csv": f"id,text,at\n1,fits,\n2,{text},\n".encode(),
        "jsonl": "\n".join(json.dumps({"id": i, "text": t}) for i, t in ((1, "fits"), (2, text))).encode(),
        "parquet": sink.getvalue(),
    }[suffix]
    receipt = load(warehouse, store, f"in/a.{suffix}", data)
    assert (receipt.outcome, receipt.arrived, receipt.quarantined, receipt.loaded) == ("loaded", 2, 1, 1)
    found = warehouse.query("SELECT reason FROM _quarantine").to_pylist()
    assert found == [{"reason": reason}]
    assert warehouse.query("SELECT text FROM notes").to_pylist() == [{"text": "fits"}]


def test_a_text_of_the_greatest_length_is_held(warehouse: RedshiftWarehouse, store: ObjectStore) -> None:
    assert load(warehouse, store, "in/a.csv", b"id,text,at\n1," + b"x" * 65_535 + b",\n").loaded == 1
    assert warehouse.query("SELECT length(text) AS n FROM notes").to_pylist() == [{"n": 65_535}]


def test_nothing_is_left_in_the_staging_prefix(warehouse: RedshiftWarehouse, store: ObjectStore) -> None:
    load(warehouse, store, "in/a.csv", b"id,text,at\n1,a,\nx,b,\n")
    assert [found.key for found in store.list("")] == ["in/a.csv"]


def test_unloads_of_one_call_are_of_one_snapshot(
    warehouse: RedshiftWarehouse, store: ObjectStore, redshift_server: Redshift
) -> None:
    load(warehouse, store, "in/a.csv", b"id,text,at\n1,a,\n")
    other = redshift_warehouse(redshift_server, warehouse.system)
    waiting = ["u/second"]

    def meanwhile(sql: str) -> None:
        if waiting and sql.startswith("UNLOAD") and waiting[0] in sql:
            waiting.clear()
            load(other, store, "in/b.csv", b"id,text,at\n2,b,\n")

    redshift_server.proxy.on_start = meanwhile
    found = warehouse.unload({"u/first": "SELECT id FROM notes", "u/second": "SELECT id FROM notes"}, store)
    other.close()
    assert waiting == []
    assert [(sum(p.rows for p in one.parts), one.ledger_position) for one in found.values()] == [(1, 1), (1, 1)]
    assert warehouse.query("SELECT count(*) AS n FROM notes").to_pylist() == [{"n": 2}]


def test_an_ordered_and_limited_unload_keeps_its_order(warehouse: RedshiftWarehouse, store: ObjectStore) -> None:
    load(warehouse, store, "in/a.csv", b"id,text,at\n2,b,2020-01-01T00:00:00Z\n3,c,\n1,,\n")
    found = warehouse.unload({"u": "SELECT id, text, at FROM notes ORDER BY id DESC LIMIT 2"}, store)["u"]
    assert [(part.key, part.rows) for part in found.parts] == [("u/part-0000_part_00.parquet", 2)]
    with store.open(found.parts[0].key) as file:
        rows = pq.read_table(io.BytesIO(file.read())).to_pylist()
    assert rows == [{"id": 3, "text": "c", "at": None}, {"id": 2, "text": "b", "at": datetime(2020, 1, 1)}]  # noqa: DTZ001
    assert [o.key for o in store.list("u/")] == ["u/part-0000_part_00.parquet"]


def test_quotes_and_backslashes_are_only_text(warehouse: RedshiftWarehouse, store: ObjectStore) -> None:
    odd = "\\' OR 1 = 1 -- \\\\''n\\n"
    load(warehouse, store, "in/a\\'b.csv", b"id,text,at\n1," + odd.encode() + b",\n2,x,\n")
    sql = "SELECT id, text FROM notes WHERE text = '" + odd.replace("'", "''") + "'"
    assert warehouse.query(sql).to_pylist() == [{"id": 1, "text": odd}]
    assert warehouse.query("SELECT id FROM notes WHERE text = ?", [odd]).to_pylist() == [{"id": 1}]
    (part,) = (p for p in warehouse.unload({"u": sql}, store)["u"].parts if p.rows)
    with store.open(part.key) as file:
        assert pq.read_table(io.BytesIO(file.read())).to_pylist() == [{"id": 1, "text": odd}]


def test_json_and_lists_are_read_in_sql(warehouse: RedshiftWarehouse, store: ObjectStore) -> None:
    load(warehouse, store, "in/a.csv", b'id,text,at\n1,"{""a"": {""b"": 7}}",\n2,"{}",\n')
    found = warehouse.query("SELECT json_extract_string(text, '$.a.b') AS b FROM notes ORDER BY id").to_pylist()
    assert found == [{"b": "7"}, {"b": None}]
    listed = warehouse.query("SELECT string_agg(CAST(id AS varchar), '-' ORDER BY id DESC) AS ids FROM notes")
    assert listed.to_pylist() == [{"ids": "2-1"}]


def test_parameters_and_results_keep_their_types(warehouse: RedshiftWarehouse, store: ObjectStore) -> None:
    load(warehouse, store, "in/a.csv", b"id,text,at\n9223372036854775807,it's ? %s $1,2020-01-01T10:00:00\n")
    zone = timezone(timedelta(hours=2))
    found = warehouse.query(
        "SELECT id, text, sum(id) AS s, avg(id) AS a, CAST(1.5 AS decimal(5,2)) AS d, true AS b, count(*) AS n FROM notes "
        "WHERE at = ? AND text = ? AND id > ? GROUP BY ALL",
        [datetime(2020, 1, 1, 12, tzinfo=zone), "it's ? %s $1", 5],
    )
    kinds = ["int64", "string", "decimal128(38, 0)", "double", "decimal128(5, 2)", "bool", "int64"]
    assert [str(field.type) for field in found.schema] == kinds
    whole = 2**63 - 1
    assert list(found.to_pylist()[0].values()) == [
        whole, "it's ? %s $1", Decimal(whole), float(whole), Decimal("1.50"), True, 1,
    ]  # fmt: skip


def break_off(times: int, server: Redshift) -> None:
    """The next statements find their session broken."""
    left = [times]

    def end(sql: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            server.proxy.on_start = None
        raise ConnectionResetError(sql)

    server.proxy.on_start = end


def test_a_query_in_a_session_that_broke_off_is_asked_again_once(
    warehouse: RedshiftWarehouse, redshift_server: Redshift
) -> None:
    warehouse.query("SELECT 1 AS one")
    break_off(1, redshift_server)
    assert warehouse.query("SELECT 1 AS one", timeout_s=9).to_pylist() == [{"one": 1}]
    break_off(2, redshift_server)
    with pytest.raises(UnavailableError):
        warehouse.query("SELECT 1 AS one")
    assert warehouse.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_a_query_that_redshift_refuses_is_the_users(warehouse: RedshiftWarehouse, redshift_server: Redshift) -> None:
    refused = RedshiftRefusedError("Specified types or functions not supported on Redshift tables", "0A000")
    redshift_server.proxy.refuse("SELECT", refused, times=1)
    with pytest.raises(DataError, match="not supported on Redshift tables"):
        warehouse.query("SELECT 1 AS one")


def test_a_server_that_is_away_is_unavailable_by_address() -> None:
    port = free_port()
    settings = RedshiftSettings(host="127.0.0.1", port=port, user="u", ssl=False)
    found = RedshiftWarehouse(
        settings, EnvironmentSecrets({"MLPLATFORM_SECRET_REDSHIFT_PASSWORD": "hidden"}), system="s"
    )
    with pytest.raises(UnavailableError, match=f"127.0.0.1:{port}") as error:
        found.query("SELECT 1 AS one")
    assert "hidden" not in str(error.value)


def test_a_missing_secret_is_named() -> None:
    found = RedshiftWarehouse(RedshiftSettings(host="h", user="u"), EnvironmentSecrets({}), system="s")
    with pytest.raises(NotFoundError, match="MLPLATFORM_SECRET_REDSHIFT_PASSWORD"):
        found.query("SELECT 1 AS one")


def test_without_the_driver_the_install_line_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redshift_connector", None)
    secrets = EnvironmentSecrets({"MLPLATFORM_SECRET_REDSHIFT_PASSWORD": "x"})
    with pytest.raises(ProfileError, match=r"pip install 'mlplatform\[redshift\]'"):
        RedshiftWarehouse(RedshiftSettings(host="h", user="u"), secrets, system="s").query("SELECT 1 AS one")


def test_a_setting_that_is_no_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="pasword"):
        RedshiftSettings.model_validate({"host": "h", "user": "u", "pasword": "x"})


def test_load_times_are_those_of_the_clock_it_is_given(redshift_server: Redshift, store: ObjectStore) -> None:
    settings = RedshiftSettings.model_validate(redshift_server.settings)
    secrets = EnvironmentSecrets(redshift_server.secrets)
    now = datetime(2020, 1, 1, 12, 30, tzinfo=UTC)
    found = RedshiftWarehouse(settings, secrets, system="clock", now=lambda: now)
    found.create(NOTES)
    assert load(found, store, "in/a.csv", b"id,text,at\n1,a,\n").loaded_at == now
    assert found.query("SELECT _loaded_at FROM notes").to_pylist() == [{"_loaded_at": now.replace(tzinfo=None)}]
    found.close()


def test_rows_come_in_parts_by_a_cursor_of_one_snapshot(
    warehouse: RedshiftWarehouse, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(warehouse, store, "in/a.csv", b"id,text,at\n" + b"".join(b"%d,x,\n" % n for n in range(7)))
    monkeypatch.setattr(redshift_results, "PART_ROWS", 3)
    sizes = []
    for part in warehouse.batches("SELECT id, text FROM notes ORDER BY id"):
        sizes.append(part.num_rows)
        if len(sizes) == 1:
            load(warehouse, store, "in/b.csv", b"id,text,at\n9,late,\n")
    assert sizes == [3, 3, 1]
    with pytest.raises(DataError, match="how many places"):
        list(warehouse.batches("SELECT CASE WHEN id < 3 THEN 1.5 ELSE 1.25 END AS a FROM notes ORDER BY id"))
    assert [b.num_rows for b in warehouse.batches("SELECT id FROM notes LIMIT 3")] == [3]
