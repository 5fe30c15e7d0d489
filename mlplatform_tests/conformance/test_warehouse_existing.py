"""A table that others load (`existing`): features are built over it, in a warehouse where the platform made nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform.adapters.warehouse.hive_connection import HiveConnection
from mlplatform.errors import NotFoundError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.features import Features
from mlplatform_tests.conformance.hive_warehouse import hive_warehouse
from mlplatform_tests.conformance.object_stores import ministack_server, s3_store
from mlplatform_tests.conformance.redshift_warehouse import redshift_server, redshift_warehouse
from mlplatform_tests.conformance.snowflake_warehouse import snowflake_warehouse
from mlplatform_tests.conformance.warehouses import chosen_adapters

__all__ = ["ministack_server", "redshift_server"]

TABLE = TableSpec.model_validate(
    {
        "name": "sales",
        "existing": "their_sales",
        "columns": [
            {"name": "day", "type": "date"},
            {"name": "shop"},
            {"name": "amount", "type": "double"},
        ],
    }
)
FEATURES = FeatureSetSpec.model_validate(
    {
        "name": "sales_features",
        "table": "sales",
        "query": "features.sql",
        "target": "amount",
        "window": {"column": "day", "last": 40},
        "split": {"by": "hash", "key": ["day"], "holdout": 0.2, "validation": 0.2, "salt": "s"},
        "features": [{"name": "shop", "transform": "category"}],
        "minimum_rows": 10,
    }
)
THEIRS = ("ducklake", "redshift", "snowflake", "hive")
"""Where somebody else's table is made beside the platform: in each engine's own way."""

CREATE = "CREATE TABLE {} (day DATE, shop VARCHAR(20), amount DOUBLE PRECISION)"
ROWS = ", ".join(f"(DATE '2020-01-01' + {day}, '{shop}', {day}.5)" for day in range(60) for shop in "AB")


@pytest.fixture(params=[name for name in chosen_adapters() if name in THEIRS])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Warehouse, ObjectStore]]:
    if request.param == "ducklake":
        engine = DuckLakeEngine(tmp_path / "warehouse", threads=1, memory_mib=256)
        engine.writer().execute(CREATE.format("w.main.their_sales"))
        engine.writer().execute(f"INSERT INTO w.main.their_sales VALUES {ROWS}")
        engine.close()
        warehouse = DuckLakeWarehouse(tmp_path / "warehouse", threads=1)
        yield warehouse, DirectoryObjectStore(tmp_path / "objects")
        warehouse.close()
        return
    if request.param == "hive":
        spark = request.getfixturevalue("hive_server")
        hive = hive_warehouse(spark, tmp_path / "hive")
        beside = HiveConnection(hive.settings, EnvironmentSecrets(spark.secrets))
        beside.run(f"CREATE DATABASE {hive.database}")
        beside.run(CREATE.format(f"{hive.database}.their_sales").replace("DOUBLE PRECISION", "DOUBLE"))
        beside.run(f"INSERT INTO {hive.database}.their_sales VALUES {ROWS}")
        beside.close()
        yield hive, DirectoryObjectStore(tmp_path / "objects", settle_s=0.0)
        hive.close()
        return
    if request.param == "snowflake":
        account = request.getfixturevalue("snowflake_server")
        flake = snowflake_warehouse(account)
        others = account.session(schema=flake.system)
        others.execute(f"CREATE SCHEMA IF NOT EXISTS {flake.system}")
        others.execute(CREATE.format(f"{flake.system}.their_sales"))
        others.execute(f"INSERT INTO {flake.system}.their_sales VALUES {ROWS}")
        others.close()
        yield flake, DirectoryObjectStore(tmp_path / "objects")
        flake.close()
        return
    server = request.getfixturevalue("redshift_server")
    found = redshift_warehouse(server)
    schema = found.system
    server.server.psql(
        f"CREATE SCHEMA {schema}",
        CREATE.format(f"{schema}.their_sales"),
        f"INSERT INTO {schema}.their_sales VALUES {ROWS}",
        f"GRANT ALL ON SCHEMA {schema} TO PUBLIC",
        f"GRANT ALL ON {schema}.their_sales TO PUBLIC",
    )
    store = s3_store(request.getfixturevalue("ministack_server"))
    yield found, store
    found.close()
    store.close()


def features(world: tuple[Warehouse, ObjectStore], query: str) -> Features:
    warehouse, store = world
    return Features(warehouse, store, FEATURES, TABLE, system="shop", query_sql=query)


def test_features_are_built_over_a_table_that_others_load(world: tuple[Warehouse, ObjectStore]) -> None:
    station = features(world, "SELECT day, shop, amount FROM their_sales")
    snapshot = station.build(datetime(2020, 3, 1, tzinfo=UTC))
    assert (snapshot.ref.rows, snapshot.ref.ledger_position) == (80, 0)
    tables = [station.read(snapshot, channel) for channel in ("train", "validation", "test")]
    days = {day for table in tables for day in table.column("day").to_pylist()}
    assert (len(days), min(days).isoformat(), max(days).isoformat()) == (40, "2020-01-21", "2020-02-29")
    assert sum(table.num_rows for table in tables) == 80


def test_a_table_that_others_do_not_have_is_named(world: tuple[Warehouse, ObjectStore]) -> None:
    with pytest.raises(NotFoundError, match=r"'their_sale'.*their_sales"):
        features(world, "SELECT day, shop, amount FROM their_sale").build(datetime(2020, 3, 1, tzinfo=UTC))
