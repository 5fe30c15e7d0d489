"""Loads into Redshift that race, break off or lose their answer; the server enforces nothing that could save them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.adapters.warehouse.redshift import RedshiftWarehouse
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import (
    PermissionDeniedError,
    PlatformError,
    ProfileError,
    ThrottledError,
    TransientError,
    UnavailableError,
)
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


def figures(warehouse: RedshiftWarehouse) -> tuple[int, int, int, str]:
    """(rows, distinct ids, ledger rows, guard)."""
    row = warehouse.query("SELECT count(*) AS n, count(DISTINCT id) AS d FROM ticks").to_pylist()[0]
    ledger = warehouse.query("SELECT count(*) AS n FROM _ledger").to_pylist()[0]["n"]
    return row["n"], row["d"], ledger, warehouse.guard("ticks", SHARD).last


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


def test_a_bucket_that_is_missing_is_named_and_nothing_is_left(
    warehouse: RedshiftWarehouse, store: ObjectStore, plan: Plan, ministack_server: Ministack
) -> None:
    warehouse.load(plan("in/a.csv", b"id,price\n1,1\n"), TICKS, store)
    nowhere = S3ObjectStore("no-such-bucket", client_options=ministack_server.client_options)
    with pytest.raises(
        ProfileError, match=r"Unload to 's3://no-such-bucket/u/': S3 answered Redshift NoSuchBucket: "
    ) as told:
        warehouse.unload({"u/": "SELECT * FROM ticks"}, nowhere)
    assert told.value.next_step.startswith("Make the bucket, or set 'bucket' of the object store")
    nowhere.close()
    [part] = [p for p in warehouse.unload({"u/": "SELECT * FROM ticks"}, store)["u/"].parts if p.rows]
    assert part.rows == 1


@pytest.mark.parametrize(
    ("said", "kind", "step"),
    [
        ("Access Denied,Status 403,Error AccessDenied,Rid 1", PermissionDeniedError, "Allow the connection's iam_role"),
        (" Access Denied", PermissionDeniedError, "Allow the connection's iam_role"),
        ("The AWS Access Key Id you provided does not exist,Status 403,Error InvalidAccessKeyId,Rid 1", PermissionDeniedError, "Allow"),
        ("The bucket must be addressed using the specified endpoint,Status 301,Error PermanentRedirect", ProfileError, "cluster's region"),
        ("Please reduce your request rate,Status 503,Error SlowDown,Rid 1", ThrottledError, "later"),
        ("We encountered an internal error,Status 500,Error InternalError,Rid 1", UnavailableError, "later"),
    ],
)  # fmt: skip
def test_what_s3_refuses_the_cluster_is_told_as_that_and_the_load_is_made_again(
    warehouse: RedshiftWarehouse,
    store: ObjectStore,
    redshift_server: Redshift,
    plan: Plan,
    said: str,
    kind: type[PlatformError],
    step: str,
) -> None:
    wanted = plan("in/a.csv", b"id,price\n1,1\n")
    redshift_server.proxy.refuse("COPY", RedshiftRefusedError(f"S3ServiceException:{said}", "XX000"), times=1)
    with pytest.raises(kind, match=r"in/a\.csv.*: S3 answered Redshift") as told:
        warehouse.load(wanted, TICKS, store)
    assert step in told.value.next_step
    assert warehouse.load(wanted, TICKS, store).loaded == 1
    assert figures(warehouse) == (1, 1, 1, "1")


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
